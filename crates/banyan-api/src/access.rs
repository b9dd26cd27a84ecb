//! Who may call what, as the protobuf says beside each RPC.

use banyan_core::Access;

/// Every RPC of every service by its path, sorted, with its requirement; `None` if its definition has none, in which case
/// every call is denied.
pub const ACCESS: &[(&str, Option<Access>)] = include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// The requirement of the RPC at a path such as `/banyan.v1.UserService/ListUsers`; `None` for an RPC that is not ours, or
/// whose definition has none.
#[must_use]
pub fn access_of(path: &str) -> Option<Access> {
    let found = ACCESS.binary_search_by_key(&path, |(path, _)| path).ok()?;
    ACCESS.get(found)?.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_core::{ENGINE_PERMISSIONS, Permission};

    #[test]
    fn every_rpc_of_every_service_says_who_may_call_it() {
        assert!(ACCESS.len() >= 37, "{} RPCs", ACCESS.len());
        let silent: Vec<&str> = ACCESS
            .iter()
            .filter(|(_, access)| access.is_none())
            .map(|(path, _)| *path)
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
        assert!(ACCESS.is_sorted_by_key(|(path, _)| path));
    }

    #[test]
    fn every_permission_that_an_rpc_takes_is_one_of_the_engines_vocabulary() {
        for (path, access) in ACCESS {
            if let Some(Access::Permission { permission, .. }) = access {
                permission.parse::<Permission>().unwrap();
                let known = ENGINE_PERMISSIONS
                    .iter()
                    .any(|(name, _)| name == permission);
                assert!(known, "{path} takes {permission}");
            }
        }
    }

    #[test]
    fn a_path_that_is_not_ours_takes_nothing_that_anybody_has() {
        for path in ["", "/", "/banyan.v1.UserService/", "/x.Y/Z", "ListUsers"] {
            assert_eq!(access_of(path), None, "{path}");
        }
        assert_eq!(
            access_of("/banyan.v1.AuthService/Login"),
            Some(Access::Anonymous)
        );
    }

    /// What anonymous may call is what an attacker can call: it is listed here once more, so that nothing gets there by
    /// accident.
    #[test]
    fn without_authentication_there_is_logging_in_and_nothing_else() {
        let open: Vec<&str> = ACCESS
            .iter()
            .filter(|(_, access)| *access == Some(Access::Anonymous))
            .map(|(path, _)| *path)
            .collect();
        assert_eq!(
            open,
            [
                "/banyan.v1.AuthService/Enroll",
                "/banyan.v1.AuthService/Login",
                "/banyan.v1.AuthService/Refresh",
            ]
        );
    }
}

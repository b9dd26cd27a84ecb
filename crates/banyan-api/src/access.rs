//! The access required for each RPC, as declared in the protobuf.

use banyan_core::Access;

/// Every RPC of every service by its path, sorted, with the access it requires; `None` if its definition declares none,
/// in which case every call is denied.
pub const ACCESS: &[(&str, Option<Access>)] = include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// The access required by the RPC at a path such as `/banyan.v1.UserService/ListUsers`; `None` for an unknown RPC or one
/// whose definition declares none.
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
    fn every_rpc_declares_its_access() {
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
    fn every_required_permission_is_a_known_one() {
        for (path, access) in ACCESS {
            if let Some(Access::Permission { permission, .. }) = access {
                permission.parse::<Permission>().unwrap();
                let known = ENGINE_PERMISSIONS
                    .iter()
                    .any(|(name, _)| name == permission);
                assert!(known, "{path} requires {permission}");
            }
        }
    }

    #[test]
    fn an_unknown_path_cannot_be_called() {
        for path in ["", "/", "/banyan.v1.UserService/", "/x.Y/Z", "ListUsers"] {
            assert_eq!(access_of(path), None, "{path}");
        }
        assert_eq!(
            access_of("/banyan.v1.AuthService/Login"),
            Some(Access::Anonymous)
        );
    }

    /// Calls that need no authentication are open to attackers, so they are listed here again: none is added by
    /// accident.
    #[test]
    fn only_login_calls_need_no_authentication() {
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

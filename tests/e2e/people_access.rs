//! Every RPC of every service, called over TLS by every kind of caller, and compared with its access definition.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use banyan_api::v1::WhoAmIRequest;
use banyan_api::{ACCESS, Client, denial_cause};
use banyan_core::Access;
use banyan_core::Permission;
use banyan_manifest::scaffold;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::harness::{Cluster, name};

/// RPCs that end a session or change what the others need: called last.
const LAST: [&str; 2] = [
    "/banyan.v1.SigningKeyService/RotateSigningKey",
    "/banyan.v1.AuthService/Logout",
];

/// A kind of caller.
struct Caller {
    label: &'static str,
    client: Client,
    /// The permissions it holds; `None` for an anonymous caller.
    holds: Option<BTreeSet<Permission>>,
}

/// The outcome of a call, with regard to access.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unauthenticated,
    Denied,
    LetThrough,
}

impl Caller {
    fn holds(&self, wanted: &str) -> bool {
        let wanted = wanted.parse().unwrap();
        let held = self.holds.iter().flatten();
        held.into_iter().any(|mine| mine.covers(&wanted))
    }

    /// The outcome the table requires.
    fn expected(&self, access: Access) -> Outcome {
        match access {
            Access::Anonymous => Outcome::LetThrough,
            _ if self.holds.is_none() => Outcome::Unauthenticated,
            Access::Authenticated | Access::Permission { own: true, .. } => Outcome::LetThrough,
            Access::Permission { permission, .. } if self.holds(permission) => Outcome::LetThrough,
            Access::Permission { .. } | Access::Host => Outcome::Denied,
        }
    }
}

/// A call with an empty message; the response is ignored.
async fn call(client: &Client, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(client.calls());
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unknown(error.to_string()))?;
    // A message without fields: it encodes to nothing, and skips whatever is in the response.
    let codec: ProstCodec<WhoAmIRequest, WhoAmIRequest> = ProstCodec::default();
    let path = PathAndQuery::try_from(path).unwrap();
    let request = Request::new(WhoAmIRequest {});
    let answer = grpc.server_streaming(request, path, codec).await?;
    let mut messages = answer.into_inner();
    while messages.message().await?.is_some() {}
    Ok(())
}

fn outcome(result: &Result<(), Status>) -> Outcome {
    let Err(status) = result else {
        return Outcome::LetThrough;
    };
    match (status.code(), denial_cause(status)) {
        // Anonymous RPCs are reached, and themselves refuse the empty name or token.
        (Code::Unauthenticated, Some("malformed" | "bad-credentials")) => Outcome::LetThrough,
        (Code::Unauthenticated, _) => Outcome::Unauthenticated,
        (Code::PermissionDenied, _) => Outcome::Denied,
        _ => Outcome::LetThrough,
    }
}

fn in_order() -> Vec<(&'static str, Access)> {
    let all = ACCESS.iter();
    let mut all: Vec<_> = all
        .map(|(path, access)| (*path, access.expect(path)))
        .collect();
    all.sort_by_key(|(path, _)| {
        LAST.iter()
            .position(|last| last == path)
            .map_or(0, |at| at + 1)
    });
    all
}

fn permissions(texts: &[&str]) -> BTreeSet<Permission> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn every_rpc_admits_exactly_the_callers_that_its_definition_names() {
    let cluster = Cluster::started();
    let custom = ["audit:read", "sessions:*", "gitops:read"];
    let held: Vec<_> = permissions(&custom).into_iter().collect();
    cluster.write(
        "roles/auditor.yaml",
        &scaffold::role(&name("auditor"), &held),
    );
    cluster.apply("Auditors");
    let log_in = |label: &'static str, role: &str| {
        let client = cluster.user_with(label, &[role]).client;
        // The expected permissions are not read from the engine, except for the built-in roles' vocabulary.
        let who = cluster.who(&client).unwrap();
        assert_eq!(who.roles, [role]);
        let texts: Vec<&str> = who.permissions.iter().map(String::as_str).collect();
        Caller {
            label,
            client,
            holds: Some(permissions(&texts)),
        }
    };
    let callers = [
        Caller {
            label: "nobody",
            client: cluster.stranger(),
            holds: None,
        },
        log_in("val", "viewer"),
        log_in("del", "deployer"),
        log_in("ada", "admin"),
        log_in("otto", "auditor"),
    ];
    assert_eq!(callers[4].holds, Some(permissions(&custom)));
    assert_eq!(callers[3].holds, Some(permissions(&["*"])));

    let mut wrong = String::new();
    let mut let_through = 0;
    for (path, access) in in_order() {
        for caller in &callers {
            let result = cluster.run(call(&caller.client, path));
            let (got, expected) = (outcome(&result), caller.expected(access));
            let_through += usize::from(got == Outcome::LetThrough);
            if got != expected {
                let _ = writeln!(
                    wrong,
                    "{path} as {}: {got:?}, not {expected:?}: {result:?}",
                    caller.label
                );
            }
            let unserved = matches!(&result, Err(status) if status.code() == Code::Unimplemented);
            assert!(!unserved, "{path} is not served");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        let_through > ACCESS.len(),
        "hardly anything was let through"
    );
}

#[test]
fn the_host_may_call_everything_and_an_unknown_path_cannot_be_called() {
    let cluster = Cluster::started();
    let host = cluster.client();
    for (path, access) in in_order() {
        let result = cluster.run(call(&host, path));
        assert_eq!(
            outcome(&result),
            Outcome::LetThrough,
            "{path}, which takes {access:?}: {result:?}"
        );
    }
    let ada = cluster.user_with("ada", &["admin"]);
    for path in ["/banyan.v1.UserService/Everything", "/x.Y/Z"] {
        for client in [&cluster.stranger(), &ada.client, &host] {
            let status = cluster.run(call(client, path)).unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        }
    }
}

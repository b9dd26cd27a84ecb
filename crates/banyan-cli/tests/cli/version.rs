//! `banyan version`.

use banyan_api::v1;
use serde_json::json;

use crate::fake::{Engine, healthy};
use crate::setup::Setup;

#[test]
fn the_version_tells_of_client_engine_and_formats() {
    let setup = Setup::new();
    let mut script = healthy();
    script.version = v1::Version {
        version: "0.2.0".to_owned(),
        api: "v1".to_owned(),
        manifest: "banyan/v1".to_owned(),
        store_format: 2,
        archive_format: 3,
    };
    let engine = Engine::start(&setup, script);
    let ours = env!("CARGO_PKG_VERSION");
    let socket = engine.socket.display();
    assert_eq!(
        engine.run(&setup, &["version"]).done(),
        format!(
            "client  {ours}, API v1, manifests banyan/v1, credentials format 1\n\
             engine  0.2.0 at {socket}, API v1, manifests banyan/v1, store format 2, archive format 3\n"
        )
    );
    let json = engine.run(&setup, &["version", "--output", "json"]).json();
    assert_eq!(
        json["client"],
        json!({"version": ours, "api": "v1", "manifest": "banyan/v1", "credentialsFormat": 1})
    );
    assert_eq!(json["engine"]["archiveFormat"], 3);
    assert_eq!(json["problem"], json!(null));
}

#[test]
fn without_an_engine_the_version_says_why_and_is_no_failure() {
    let setup = Setup::new();
    let text = setup.run(&["version"]).done();
    assert!(
        text.contains("\nengine  not known: no engine answers at "),
        "{text}"
    );
    let json = setup.run(&["version", "-o", "json"]).json();
    assert_eq!(json["engine"], json!(null));
    assert!(
        json["problem"].as_str().unwrap().contains("none.sock"),
        "{json}"
    );
}

#[test]
fn an_engine_that_does_not_answer_does_not_hold_the_version_up() {
    let setup = Setup::new();
    let _listener = std::os::unix::net::UnixListener::bind(setup.path("none.sock")).unwrap();
    let text = setup.run(&["version"]).done();
    assert!(text.contains("did not answer within 2 s"), "{text}");
}

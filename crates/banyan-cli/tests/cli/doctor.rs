//! `banyan doctor`.

use crate::fake::{Engine, Remote, Script, healthy, in_seconds, refused};
use crate::setup::{Run, Setup};

fn doctor(script: Script) -> Run {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    engine.run(&setup, &["doctor", "-o", "json"])
}

/// The results, by check.
fn results(run: &Run) -> Vec<(String, String)> {
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let checks = json["checks"].as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["check"]), text(&check["result"])))
        .collect()
}

fn result(run: &Run, check: &str) -> String {
    let found = results(run).into_iter().find(|(name, _)| name == check);
    found.unwrap().1
}

#[test]
fn all_is_well_with_a_healthy_engine() {
    let run = doctor(healthy());
    assert_eq!(run.code, 0, "{}", run.out);
    let names: Vec<String> = results(&run).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "config",
            "socket",
            "login",
            "engine",
            "clock",
            "wireguard",
            "store",
            "repo",
            "tools"
        ]
    );
    assert!(
        results(&run).iter().all(|(_, result)| result == "ok"),
        "{}",
        run.out
    );
}

#[test]
fn what_is_wrong_is_graded() {
    let mut script = healthy();
    script.engine.now = in_seconds(-30);
    let run = doctor(script);
    assert_eq!(
        (run.code, result(&run, "clock").as_str()),
        (1, "fail"),
        "{}",
        run.out
    );

    let mut script = healthy();
    script.engine.wireguard = "none".to_owned();
    script.engine.wireguard_reason = "there is no /dev/net/tun".to_owned();
    let run = doctor(script);
    assert_eq!(
        (run.code, result(&run, "wireguard").as_str()),
        (0, "warn"),
        "{}",
        run.out
    );

    let mut script = healthy();
    script.engine.store_problem = "no answer in time".to_owned();
    let run = doctor(script);
    let graded = (run.code, result(&run, "store"));
    assert_eq!(graded, (1, "fail".to_owned()), "{}", run.out);

    let mut script = healthy();
    script.engine.role = "cut-off".to_owned();
    script.engine.role_reason = "an engine named south runs already".to_owned();
    let run = doctor(script);
    let graded = (run.code, result(&run, "store"));
    assert_eq!(graded, (1, "fail".to_owned()), "{}", run.out);
    assert!(run.out.contains("named south runs already"), "{}", run.out);

    let run = doctor(refused());
    assert_eq!(
        (run.code, result(&run, "repo").as_str()),
        (0, "warn"),
        "{}",
        run.out
    );

    let mut script = refused();
    script.gitops.applied = None;
    let run = doctor(script);
    assert_eq!(
        (run.code, result(&run, "repo").as_str()),
        (1, "fail"),
        "{}",
        run.out
    );
}

#[test]
fn the_login_at_an_engine_elsewhere_is_checked() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    let doctor = || remote.run(&setup, &["doctor", "-o", "json"]);
    let run = doctor();
    let graded = (run.code, result(&run, "login"), result(&run, "engine"));
    assert_eq!(
        graded,
        (1, "fail".to_owned(), "ok".to_owned()),
        "{}",
        run.out
    );
    assert!(run.out.contains("banyan login --engine"), "{}", run.out);
    remote.login(&setup);
    let run = doctor();
    assert_eq!(
        (run.code, result(&run, "login").as_str()),
        (0, "ok"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("alice; the token expires in "),
        "{}",
        run.out
    );
    assert!(run.out.contains("the login ends in "), "{}", run.out);
    let kept = setup.path("home/.config/banyan/credentials.json");
    let good = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, "garbage").unwrap();
    let run = doctor();
    let graded = (run.code, result(&run, "login"));
    assert_eq!(graded, (1, "fail".to_owned()), "{}", run.out);
    std::fs::write(&kept, good).unwrap();
    remote.issued().ended = true;
    let run = doctor();
    let graded = (run.code, result(&run, "login"));
    assert_eq!(graded, (1, "fail".to_owned()), "{}", run.out);
}

#[test]
fn without_an_engine_it_says_what_to_do() {
    let setup = Setup::new();
    let run = setup.run(&["doctor"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("fail  socket"), "{}", run.out);
    assert!(
        run.out.contains("systemctl start banyan-engine"),
        "{}",
        run.out
    );
    assert!(run.out.contains("ok    tools"), "{}", run.out);
}

#[test]
fn a_file_in_place_of_the_socket_and_a_bad_configuration_are_found() {
    let setup = Setup::new();
    setup.write("none.sock", "");
    setup.write("home/.config/banyan/config.yaml", "cli: {sokcet: /x}\n");
    let run = setup.run(&["doctor"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("none.sock is not a socket"), "{}", run.out);
    assert!(run.out.contains("fail  config"), "{}", run.out);
    assert!(run.out.contains("did you mean `socket`?"), "{}", run.out);
}

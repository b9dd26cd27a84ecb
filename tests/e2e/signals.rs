//! What the engine does on signals.

use std::fs;

use anyhow::ensure;
use banyan_testkit::netns::until;

use crate::harness::{Cluster, PATIENCE, user};

#[track_caller]
fn logs(cluster: &Cluster, text: &str) {
    let found = until(PATIENCE, || {
        ensure!(cluster.log().contains(text), "it does not say: {text}");
        Ok(())
    });
    found.unwrap();
}

#[test]
fn a_hangup_checks_the_configuration_and_looks_at_the_branch() {
    let mut cluster = Cluster::started();
    cluster.signal("HUP");
    logs(&cluster, "the configuration is as it was at the start");

    let file = cluster.config_file();
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("engine:\n", "engine:\n  log: json\n")).unwrap();
    cluster.signal("HUP");
    logs(
        &cluster,
        "these keys take effect when the engine is restarted",
    );
    logs(&cluster, "engine.log");

    fs::write(
        &file,
        good.replace("engine:\n", "engine:\n  no_such_key: 1\n"),
    )
    .unwrap();
    cluster.signal("HUP");
    logs(
        &cluster,
        "the configuration is not valid and changes nothing",
    );
    logs(&cluster, "no_such_key");
    fs::write(&file, good).unwrap();

    cluster.write("users/hanna.yaml", &user("hanna", &["viewer"]));
    let status = cluster.apply("The engine still runs");
    assert_eq!(status.state, "in-force");
    assert!(cluster.terminate().success());
}

#[test]
fn a_quit_signal_stops_the_engine_in_good_order() {
    let mut cluster = Cluster::started();
    cluster.signal("QUIT");
    assert!(cluster.wait_exit().success());
    assert!(cluster.log().contains("the engine stops"));
}

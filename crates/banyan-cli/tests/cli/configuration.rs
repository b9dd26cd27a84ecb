//! Where the socket is taken from, and configuration that is wrong.

use crate::fake::{Engine, healthy};
use crate::setup::{Run, Setup, run};

/// Runs `status` with these in the environment, and no socket named there.
fn status(setup: &Setup, environment: &[(&str, &str)]) -> Run {
    let mut command = setup.command();
    command.env_remove("BANYAN_SOCKET").arg("status");
    // So that the host's own file plays no part.
    command.env("BANYAN_CONFIG", setup.path("host.yaml"));
    command.envs(environment.iter().copied());
    run(&mut command, "")
}

fn with_engine() -> (Setup, String) {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    setup.write("host.yaml", "# nothing\n");
    (setup, engine.socket.display().to_string())
}

#[test]
fn the_persons_own_file_names_the_socket() {
    let (setup, socket) = with_engine();
    let text = format!("cli:\n  socket: {socket}\n");
    setup.write("home/.config/banyan/config.yaml", &text);
    status(&setup, &[]).done();
    // XDG_CONFIG_HOME moves the file, and a relative one is ignored.
    setup.write(
        "xdg/banyan/config.yaml",
        "cli:\n  socket: /nonexistent/x.sock\n",
    );
    let xdg = setup.path("xdg").display().to_string();
    let err = status(&setup, &[("XDG_CONFIG_HOME", &xdg)]).ended(6);
    assert!(err.contains("/nonexistent/x.sock"), "{err}");
    status(&setup, &[("XDG_CONFIG_HOME", "xdg")]).done();
}

#[test]
fn the_hosts_file_counts_where_the_own_one_says_nothing() {
    let (setup, socket) = with_engine();
    let text = format!("engine: {{grpc_port: \"50051\"}}\ncli: {{socket: {socket}}}\n");
    setup.write("host.yaml", &text);
    status(&setup, &[]).done();
    setup.write(
        "home/.config/banyan/config.yaml",
        "cli: {socket: /nonexistent/y.sock}\n",
    );
    assert!(status(&setup, &[]).ended(6).contains("/nonexistent/y.sock"));
}

#[test]
fn option_beats_environment_beats_file() {
    let (setup, socket) = with_engine();
    setup.write(
        "home/.config/banyan/config.yaml",
        "cli: {socket: /nonexistent/y.sock}\n",
    );
    status(&setup, &[("BANYAN_SOCKET", &socket)]).done();
    let mut command = setup.command();
    command.env("BANYAN_SOCKET", "/nonexistent/z.sock");
    run(command.args(["--socket", &socket, "status"]), "").done();
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_ends_with_three() {
    let (setup, _) = with_engine();
    setup.write(
        "home/.config/banyan/config.yaml",
        "# mine\ncli:\n  sokcet: /x\n",
    );
    let err = status(&setup, &[]).ended(3);
    assert!(
        err.contains(
            ".config/banyan/config.yaml:3:3: unknown key `sokcet`; did you mean `socket`?\n"
        ),
        "{err}"
    );
    // What needs no engine needs no configuration.
    setup.run(&["schema"]).done();
}

#[test]
fn a_named_file_that_is_missing_ends_with_three() {
    let setup = Setup::new();
    let err = status(&setup, &[]).ended(3);
    assert!(err.contains("there is no configuration file"), "{err}");
}

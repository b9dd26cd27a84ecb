//! Help, versions, completions and man pages, all from one definition.

use crate::setup::{Setup, run};

#[test]
fn help_is_data_and_wrong_usage_is_not() {
    let setup = Setup::new();
    let help = setup.run(&["--help"]).done();
    for command in [
        "validate",
        "plan",
        "repo",
        "gitops",
        "login",
        "signing-key",
        "doctor",
        "completions",
    ] {
        assert!(help.contains(command), "{help}");
    }
    assert!(help.contains("6 engine out of reach"), "{help}");
    let run = setup.run(&["nonsense"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    let version = setup.run(&["--version"]).done();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn a_link_named_banyan_cli_is_the_same_program_under_its_own_name() {
    let setup = Setup::new();
    let link = setup.path("banyan-cli");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_banyan"), &link).unwrap();
    let linked = |argument: &str| run(std::process::Command::new(&link).arg(argument), "");
    assert_eq!(linked("--version").done(), setup.run(&["--version"]).done());
    let help = linked("--help").done();
    assert!(help.contains("Usage: banyan-cli "), "{help}");
    let wrong = linked("nonsense").ended(2);
    assert!(wrong.contains("Usage: banyan-cli "), "{wrong}");
}

#[test]
fn completions_are_made_for_every_shell() {
    let setup = Setup::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = setup.run(&["completions", shell]).done();
        assert!(
            script.contains("banyan") && script.contains("add-machine"),
            "{shell}"
        );
    }
    setup.run(&["completions", "nonsense"]).ended(2);
}

#[test]
fn man_pages_are_printed_or_written_for_every_command() {
    let setup = Setup::new();
    assert!(setup.run(&["man"]).done().contains(".TH banyan 1"));
    setup.run(&["man", "pages"]).done();
    for page in ["banyan.1", "banyan-repo-init.1", "banyan-gitops-status.1"] {
        assert!(setup.path("pages").join(page).exists(), "{page}");
    }
    setup.write("file", "");
    let err = setup.run(&["man", "file"]).ended(1);
    assert!(err.contains("cannot write man pages to file"), "{err}");
}

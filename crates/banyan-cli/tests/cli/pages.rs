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
    assert!(
        setup
            .run(&["gitops", "--version"])
            .done()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_program_answers_to_both_its_names() {
    let setup = Setup::new();
    let mut other = std::process::Command::new(env!("CARGO_BIN_EXE_banyan-cli"));
    let version = run(other.arg("--version"), "").done();
    assert_eq!(version, setup.run(&["--version"]).done());
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

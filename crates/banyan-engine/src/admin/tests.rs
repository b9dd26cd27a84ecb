//! The commands on a store without an engine, and what they read.

use super::*;

/// Runs a command as a process of its own would: when it is over, nothing of it has the store open.
fn alone<T>(command: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(command)
}

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let path = host.folder.path().display();
        let yaml = format!(
            "engine:\n  state_dir: {path}/state\n  socket: {path}/engine.sock\n  gitops: {{url: {path}/repo}}\n"
        );
        std::fs::write(host.config(), yaml).unwrap();
        host
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("banyan.yaml")
    }

    fn password(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn init(&self, password: Option<&str>) -> Result<String, Failure> {
        let options = InitOptions {
            admin: "admin".parse().unwrap(),
            admin_password_file: password.map(|text| self.password(text)),
            enroll: password.is_none(),
        };
        alone(init(&self.config(), &options))
    }

    fn recover(&self, user: &str) -> Result<String, Failure> {
        let options = RecoverOptions {
            user: user.parse().unwrap(),
            password_file: None,
            enroll: true,
        };
        let config = Config::read(&self.config()).unwrap();
        alone(recover_admin(&config, &options))
    }

    /// What the audit log says: action, object, detail.
    fn audited(&self) -> Vec<String> {
        let config = Config::read(&self.config()).unwrap();
        let listed = alone(async {
            let state = crate::ops::store::open_state(&config).await.unwrap();
            let log = state.audit(crate::ops::store::engine_name(&config));
            log.list(None, 10).await.unwrap()
        });
        let line = |recorded: banyan_state::Recorded| match recorded.found {
            banyan_state::Found::Entry(entry) => format!(
                "{} {}: {}",
                entry.action,
                entry.object.unwrap(),
                entry
                    .detail
                    .map(|detail| detail.to_string())
                    .unwrap_or_default()
            ),
            other => panic!("{other:?}"),
        };
        listed.into_iter().map(line).collect()
    }
}

#[test]
fn init_makes_one_admin_and_says_so_the_second_time_without_asking() {
    let host = Host::new();
    let said = host.init(Some("correct horse battery\nsecond line\n"));
    let said = said.unwrap();
    assert!(
        said.contains("created user admin with the role admin"),
        "{said}"
    );
    assert!(said.contains("banyan login --username admin"), "{said}");
    assert!(!said.contains("correct horse"), "{said}");
    // A file that is not there would fail if it were read.
    let again = InitOptions {
        admin: "other".parse().unwrap(),
        admin_password_file: Some("/nowhere".into()),
        enroll: false,
    };
    let again = alone(init(&host.config(), &again)).unwrap();
    assert!(again.contains("admin is an admin already"), "{again}");
    assert!(again.contains("banyan-engine recover-admin"), "{again}");
    let audited = host.audited();
    assert_eq!(
        audited,
        ["host.recover-admin user admin: created user admin with the role admin; set the password"]
    );
}

#[test]
fn a_code_is_printed_with_the_command_that_takes_it() {
    let host = Host::new();
    let said = host.init(None).unwrap();
    let code = said.lines().find(|line| line.trim().len() == 32).unwrap();
    assert!(banyan_identity::Code::read(code.trim()).is_ok(), "{said}");
    assert!(
        said.contains("banyan login --enroll --username admin"),
        "{said}"
    );
}

#[test]
fn an_admin_is_recovered_and_another_is_made_without_an_engine() {
    let host = Host::new();
    host.init(Some("correct horse battery")).unwrap();
    let said = host.recover("admin").unwrap();
    assert!(
        said.contains("one-time code") && said.contains("ended the user's sessions"),
        "{said}"
    );
    let said = host.recover("night").unwrap();
    assert!(said.contains("created user night"), "{said}");
    assert_eq!(host.audited().len(), 3);
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let host = Host::new();
    let short = host.init(Some("short")).unwrap_err();
    assert!(crate::report(&short).contains("at least 12"), "{short:?}");
    let empty = host.init(Some("\nsecond")).unwrap_err();
    assert!(
        crate::report(&empty).contains("first line is empty"),
        "{empty:?}"
    );
    let options = InitOptions {
        admin: "admin".parse().unwrap(),
        admin_password_file: None,
        enroll: true,
    };
    let nowhere = host.folder.path().join("nowhere.yaml");
    let failure = alone(init(&nowhere, &options)).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    let said = failure.to_string();
    assert!(
        said.contains("nowhere.yaml") && said.contains("engine:"),
        "{said}"
    );
    let example = said.split_once("\n\n").unwrap().1;
    Config::parse(Path::new("example"), example).unwrap();
}

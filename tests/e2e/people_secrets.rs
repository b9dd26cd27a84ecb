//! Passwords, codes, tokens and keys reach only their recipients, and stay out of logs, answers and files.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use banyan_api::v1::{
    AddUserRequest, ChangePasswordRequest, EnrollRequest, LogoutRequest, RecoverAdminRequest,
};
use tonic::{Response, Status};

use crate::harness::{Cluster, LoggedIn, Options, PASSWORD, new_user, text};

const OTHER: &str = "quite another secret, chosen later";
const WRONG: &str = "a guess that does not fit anything";

/// The answers in their printed form, and the secrets that must not appear there.
#[derive(Default)]
struct Told {
    said: Vec<(String, String)>,
    secrets: Vec<(&'static str, String)>,
}

impl Told {
    fn answer<T: Debug>(&mut self, what: &str, result: &Result<Response<T>, Status>) {
        self.said.push((what.to_owned(), format!("{result:?}")));
    }

    fn refusal<T>(&mut self, what: &str, result: Result<T, Status>) {
        let status = result.err().expect("it was not refused");
        let said = format!("{status:?} {status}");
        self.said.push((what.to_owned(), said));
    }

    fn secret(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() > 10, "{what} is hardly a secret");
        self.secrets.push((what, secret.to_owned()));
    }

    fn tokens(&mut self, user: &LoggedIn) {
        self.said
            .push(("tokens".to_owned(), format!("{:?}", user.tokens)));
        self.said
            .push(("a client".to_owned(), format!("{:?}", user.client)));
        for token in [&user.tokens.access_token, &user.tokens.refresh_token] {
            self.secret("a token", token);
            // The signature completes a token whose other parts leaked elsewhere.
            self.secret("a signature", token.rsplit('.').next().unwrap());
        }
    }

    /// Asserts that none of these contains a secret.
    #[track_caller]
    fn nowhere(&self, places: &[(String, String)]) {
        for (what, secret) in &self.secrets {
            for (place, content) in places {
                assert!(!content.contains(secret), "{what} shows in {place}");
            }
        }
    }
}

/// All files of a directory tree.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), text(&fs::read(&path).unwrap())));
        }
    }
}

/// All kinds of calls that involve a secret.
fn a_day(cluster: &Cluster) -> Told {
    let mut told = Told::default();
    for (what, password) in [
        ("a password", PASSWORD),
        ("a later password", OTHER),
        ("a wrong password", WRONG),
    ] {
        told.secret(what, password);
    }
    let admin = cluster.first_admin();
    told.tokens(&admin);
    let added = cluster.run(admin.client.users().add_user(new_user("nina", &["viewer"])));
    told.answer("add a user", &added);
    let code = added.unwrap().into_inner().enrolment.unwrap().code;
    told.secret("a code", &code);
    told.secret("a code without dashes", &code.replace('-', ""));
    let request = AddUserRequest {
        password: WRONG.to_owned(),
        ..new_user("nina", &["viewer"])
    };
    told.said
        .push(("a request".to_owned(), format!("{request:?}")));
    let taken = cluster.run(admin.client.users().add_user(request));
    told.refusal("add a user again", taken);
    let request = EnrollRequest {
        name: "alice".to_owned(),
        code: code.clone(),
        password: OTHER.to_owned(),
    };
    let elsewhere = cluster.run(cluster.stranger().auth().enroll(request));
    told.refusal("enrol with another's code", elsewhere);
    let nina = cluster.enroll("nina", &code).unwrap();
    told.tokens(&nina);
    told.refusal("enrol twice", cluster.enroll("nina", &code));
    told.refusal("log in", cluster.log_in("nina", WRONG));
    told.refusal("log in as nobody", cluster.log_in("mallory", PASSWORD));
    let change = |current: &str| {
        let request = ChangePasswordRequest {
            current: current.to_owned(),
            new: OTHER.to_owned(),
        };
        cluster.run(nina.client.auth().change_password(request))
    };
    told.refusal("change the password", change(WRONG));
    told.answer("change the password", &change(PASSWORD));
    let refreshed = cluster.refresh(&nina.tokens.refresh_token).unwrap();
    told.tokens(&refreshed);
    let mut altered = refreshed.tokens.access_token.clone();
    altered.push('x');
    told.refusal(
        "an altered token",
        cluster.who(&cluster.with_token(&altered)),
    );
    let mixed = cluster.refresh(&refreshed.tokens.access_token);
    told.refusal("refresh by an access token", mixed);
    let logout = cluster.run(refreshed.client.auth().logout(LogoutRequest {}));
    told.answer("log out", &logout);
    let ended = cluster.refresh(&refreshed.tokens.refresh_token);
    told.refusal("refresh after it", ended);
    let request = RecoverAdminRequest {
        name: "night".to_owned(),
        ..RecoverAdminRequest::default()
    };
    let recovered = cluster.run(cluster.client().host().recover_admin(request));
    told.answer("recover an admin", &recovered);
    let code = recovered.unwrap().into_inner().enrolment.unwrap().code;
    told.secret("the recovery's code", &code);
    told
}

/// The private key that signs tokens, from the store of a stopped engine.
fn stored_seed(cluster: &Cluster) -> String {
    let stored = match cluster.is_on_etcd() {
        true => cluster.etcdctl(&["get", "--prefix", "banyan/v1/signing-key/"]),
        false => text(&fs::read(cluster.state_dir().join("store.redb")).unwrap()),
    };
    let (_, rest) = stored.split_once("\"seed\":\"").expect("there is no key");
    let seed = rest.split('"').next().unwrap().to_owned();
    assert!(seed.len() == 64, "{} characters", seed.len());
    seed
}

#[test]
fn nothing_secret_about_people_is_logged_told_or_kept_in_files() {
    let mut cluster = Cluster::started_with(Options {
        // The watcher would report that the log has changed.
        log: Some("trace,notify=info"),
        ..Options::default()
    });
    let told = a_day(&cluster);
    // A backup holds all durable state, so it is searched, and also gives the stored secrets to search for.
    let backup = cluster.backup("people");
    let kept = |prefix: &str, field: &str| {
        let found = backup
            .entries
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        let values = found.map(|(_, value)| serde_json::from_str(value).unwrap());
        let values: Vec<String> = values
            .filter_map(|value: serde_json::Value| Some(value.pointer(field)?.as_str()?.to_owned()))
            .collect();
        values
    };
    let mut hashes = kept("v1/account/", "/password/hash");
    assert!(hashes.len() >= 2, "the backup lacks them");
    let seeds = kept("v1/signing-key/", "/seed");
    assert!(
        seeds.is_empty(),
        "a restore ends them, so a backup has none"
    );
    told.nowhere(&told.said);
    told.nowhere(&[("the backup".to_owned(), format!("{:?}", backup.entries))]);

    assert!(cluster.terminate().success());
    let log = cluster.log();
    assert!(log.contains("TRACE"), "it is not logged in full");
    assert!(log.contains("send_headers"), "the wire is not in the log");
    hashes.push(stored_seed(&cluster));
    let private = cluster.state_dir().join("tls/key.pem");
    let private = fs::read_to_string(private).unwrap();
    let body = private.lines().nth(1).unwrap().to_owned();
    told.nowhere(&[("the log".to_owned(), log.clone())]);
    for secret in hashes.iter().chain([&body]).chain(&cluster.secrets()) {
        let core = secret.trim().trim_end_matches('=');
        assert!(!log.contains(core), "a stored secret shows in the log");
        for (what, said) in &told.said {
            assert!(!said.contains(core), "a stored secret shows in: {what}");
        }
    }
    assert!(!log.contains("$2b$"), "a hash shows in the log");

    let mut found = Vec::new();
    files(&cluster.state_dir(), &mut found);
    assert!(found.len() > 3, "hardly any files");
    // The store keeps hashes and keys; neither it nor its copies keep anything usable for a login.
    told.nowhere(&found);
    for (place, content) in &found {
        let store = place.ends_with(".redb");
        assert!(store || !content.contains("$2b$"), "a hash is in {place}");
    }
}

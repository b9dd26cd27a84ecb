//! The file with the credentials: its mode, how it is written, and what is made of a wrong one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::fake::{Remote, healthy};
use crate::setup::Setup;

fn logged_in() -> (Setup, Remote, PathBuf) {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    remote.login(&setup);
    let file = setup.path("home/.config/banyan/credentials.json");
    (setup, remote, file)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_file_is_for_its_owner_only_and_so_is_a_folder_that_was_there() {
    let setup = Setup::new();
    let folder = setup.path("home/.config/banyan");
    fs::create_dir_all(&folder).unwrap();
    set_mode(&folder, 0o755);
    let remote = Remote::start(&setup, healthy());
    remote.login(&setup);
    assert_eq!(mode(&folder), 0o700);
    for name in names(&folder) {
        assert_eq!(mode(&folder.join(name)), 0o600);
    }
    assert_eq!(names(&folder), ["credentials.json", "credentials.lock"]);
}

#[test]
fn another_file_takes_its_place_whole() {
    let (setup, remote, file) = logged_in();
    let before = fs::File::open(&file).unwrap();
    let number = fs::metadata(&file).unwrap().ino();
    let text = fs::read_to_string(&file).unwrap();
    // What a command left that was killed is in nobody's way.
    let draft = file.with_file_name("credentials.json.new");
    fs::write(&draft, "half").unwrap();
    remote.issued().expired = true;
    remote.run(&setup, &["whoami"]).done();
    assert!(!draft.exists());
    assert_ne!(fs::metadata(&file).unwrap().ino(), number);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(
        std::io::read_to_string(before).unwrap(),
        text,
        "whoever reads it reads all of it"
    );
    assert!(fs::read_to_string(&file).unwrap().contains("access-2"));
}

#[test]
fn where_the_new_tokens_could_not_be_kept_none_are_asked_for() {
    let (setup, remote, file) = logged_in();
    // In the place where the new file is begun there is something that cannot be removed.
    fs::create_dir(file.with_file_name("credentials.json.new")).unwrap();
    remote.issued().expired = true;
    let err = remote.run(&setup, &["whoami"]).ended(1);
    assert!(
        err.contains("cannot write") && err.contains("credentials.json"),
        "{err}"
    );
    assert_eq!(remote.issued().refreshes, 0);
}

#[test]
fn a_file_that_others_can_get_at_is_refused() {
    let (setup, remote, file) = logged_in();
    set_mode(&file, 0o640);
    let err = remote.run(&setup, &["whoami"]).ended(4);
    assert!(
        err.contains("mode 0640") && err.contains("chmod 600"),
        "{err}"
    );
    set_mode(&file, 0o600);
    let folder = file.parent().unwrap();
    set_mode(folder, 0o777);
    let err = remote.run(&setup, &["whoami"]).ended(4);
    assert!(err.contains("chmod 700"), "{err}");
    set_mode(folder, 0o700);
    remote.run(&setup, &["whoami"]).done();
}

#[test]
fn a_link_is_not_followed() {
    let (setup, remote, file) = logged_in();
    let elsewhere = setup.path("elsewhere.json");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    let err = remote.run(&setup, &["whoami"]).ended(4);
    assert!(err.contains("symbolic link"), "{err}");
    // A login takes the link's place and leaves alone where it led.
    let before = fs::read_to_string(&elsewhere).unwrap();
    remote.login(&setup);
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), before);
    remote.run(&setup, &["whoami"]).done();
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let (setup, remote, file) = logged_in();
    if fs::metadata(&file).unwrap().uid() != 0 {
        return; // Only root can give a file away.
    }
    std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
    let err = remote.run(&setup, &["whoami"]).ended(4);
    assert!(err.contains("belongs to another user (uid 65534)"), "{err}");
}

#[test]
fn a_file_that_was_tampered_with_is_named_and_a_login_makes_it_anew() {
    let (setup, remote, file) = logged_in();
    let good = fs::read_to_string(&file).unwrap();
    let long = format!("{good}{}", " ".repeat(1 << 20));
    for (text, said) in [
        ("", "is not valid"),
        ("{", "is not valid"),
        ("[]", "is not valid"),
        (&good[..good.len() / 2], "is not valid"),
        (
            &good.replace("\"version\": 1", "\"version\": 2"),
            "it has format 2",
        ),
        (&good.replace("access-1", "a b"), "is not valid"),
        (&good.replace("\"user\"", "\"usr\""), "is not valid"),
        (&long, "more than"),
    ] {
        fs::write(&file, text).unwrap();
        let err = remote.run(&setup, &["whoami"]).ended(4);
        assert!(err.contains(said), "{text}: {err}");
        assert!(
            err.contains("credentials.json") && err.contains("banyan login"),
            "{err}"
        );
        assert!(!err.contains("refresh-1"), "{err}");
    }
    remote.login(&setup);
    remote.run(&setup, &["whoami"]).done();
}

#[test]
fn commands_that_name_the_socket_do_not_look_at_it() {
    let (setup, _remote, file) = logged_in();
    fs::write(&file, "garbage").unwrap();
    let engine = crate::fake::Engine::start(&setup, healthy());
    engine.run(&setup, &["whoami"]).done();
}

//! Break-glass recovery.

use super::*;

fn wanted(text: &str) -> Recovery {
    Recovery {
        name: name(text),
        id: id(100),
        login: code(),
        only_if_none: false,
    }
}

/// What is done, after which the admin is able to log in; or why nothing is.
fn recovered(world: World, text: &str) -> String {
    match world.by(&HOST).recover(&wanted(text)) {
        Err(refused) => refused.to_string(),
        Ok((writes, Recovered { done, .. })) => {
            let world = world.after(writes);
            let mut admins = world.directory().lasting_admins(now());
            assert!(admins.any(|admin| *admin.name() == name(text)), "{text}");
            done.join("; ")
        }
    }
}

fn declared(change: impl FnOnce(&mut User)) -> World {
    let mut world = World::new();
    world.objects.users.alter(&name("alice"), change);
    world
}

#[test]
fn whatever_keeps_an_admin_out_is_undone_unless_git_says_it() {
    let out = World::new()
        .with("root", 1, &["viewer"])
        .changed("root", |user| {
            user.disabled = true;
            user.expires = Some(now());
        })
        .locked("root");
    let hash = |user: &mut User| user.password_hash = Some(SecretText::new("$2b$12$x".into()));
    let cases = [
        ("nobody", recovered(World::new(), "root")),
        ("one of ours", recovered(out, "root")),
        ("git's", recovered(World::new().locked("alice"), "alice")),
        ("git's with a hash", recovered(declared(hash), "alice")),
        (
            "git's with a hash, locked",
            recovered(declared(hash).locked("alice"), "alice"),
        ),
        (
            "disabled",
            recovered(declared(|user| user.disabled = true), "alice"),
        ),
        (
            "expired",
            recovered(declared(|user| user.expires = Some(now())), "alice"),
        ),
        ("no admin", recovered(World::new(), "vera")),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(case, said)| format!("{case}: {said}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn only_if_none_does_nothing_where_an_admin_is_able_to_log_in() {
    let wanted = Recovery {
        only_if_none: true,
        ..wanted("root")
    };
    let with = World::new().with_password("bob");
    let (writes, recovered) = with.by(&HOST).recover(&wanted).unwrap();
    assert!(writes.is_empty() && recovered.done.is_empty() && !recovered.login_set);
    assert_eq!(recovered.name, name("bob"));
    let without = World::new();
    assert!(without.by(&HOST).recover(&wanted).unwrap().1.login_set);
}

#[test]
fn a_recovered_admins_sessions_end() {
    let world = World::new()
        .with("root", 1, &["admin"])
        .session("root", 50, None);
    let (writes, _) = world.by(&HOST).recover(&wanted("root")).unwrap();
    let world = world.after(writes);
    assert_eq!(world.directory().live_sessions(now()).count(), 0);
}

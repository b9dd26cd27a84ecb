//! The engine's endpoints and who may use them, its start and stop, and that it keeps its secrets.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use banyan_api::v1::GetGitopsStatusRequest;
use banyan_api::{Calls, Client, Target, Trust};
use banyan_testkit::netns::{in_private_host, require, until};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::{Cluster, Options, PASSWORD, PATIENCE, Store, text, user};

/// Ports on the test's own private host.
const PORTS: (u16, u16) = (50051, 9600);

/// The path of the public keys.
const KEYS: &str = "/.well-known/jwks.json";

fn with_ports() -> Options {
    Options {
        ports: PORTS,
        ..Options::default()
    }
}

fn over_tls(cluster: &Cluster) -> Target {
    Target::Tls {
        host: "127.0.0.1".to_owned(),
        port: PORTS.0,
        trust: Trust::Pin(cluster.pin()),
    }
}

/// Status and body of a GET.
fn get(path: &str) -> Result<(String, String)> {
    curl(&[&format!("http://127.0.0.1:{}{path}", PORTS.1)])
}

/// Status and body as the real curl prints them.
fn curl(arguments: &[&str]) -> Result<(String, String)> {
    require("curl", "curl")?;
    let args = [
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--write-out",
        "\n%{http_code}",
    ];
    let output = Command::new("curl").args(args).args(arguments).output()?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let (body, code) = printed.rsplit_once('\n').context("no status")?;
    Ok((code.to_owned(), body.to_owned()))
}

/// Asserts that an answer is a key set with one public key, and contains no private key material.
#[track_caller]
fn one_public_key((code, body): &(String, String)) {
    assert_eq!(code, "200", "{body}");
    let set: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1, "{set}");
    let key = set["keys"][0].as_object().unwrap();
    let fields: Vec<&str> = key.keys().map(String::as_str).collect();
    assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"], "{set}");
    assert_eq!(key["alg"], "EdDSA");
}

/// The output of the real openssl, on either stream.
fn openssl(arguments: &[&str]) -> Result<String> {
    require("openssl", "openssl")?;
    let output = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let printed = text(&[output.stdout, output.stderr].concat());
    ensure!(output.status.success(), "openssl {arguments:?}: {printed}");
    Ok(printed)
}

#[test]
fn over_tcp_a_stranger_gets_health_and_nothing_else_and_the_local_socket_has_everything() {
    let name = "serving::over_tcp_a_stranger_gets_health_and_nothing_else_and_the_local_socket_has_everything";
    let inside = in_private_host(name, 4 * PATIENCE, || {
        let cluster = Cluster::started_with(with_ports());
        let mode = fs::metadata(cluster.socket())?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{mode:o}");
        cluster.run(async {
            let tcp = Client::connect(&over_tls(&cluster)).await.unwrap();
            let health = HealthClient::new(tcp.calls())
                .check(HealthCheckRequest::default())
                .await;
            assert_eq!(health.unwrap().into_inner().status, 1);
            let refused = tcp.gitops().get_status(GetGitopsStatusRequest {}).await;
            assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
            assert_eq!(
                services(tcp.calls()).await.unwrap_err(),
                Code::Unauthenticated
            );

            let local = Client::connect(&Target::Socket(cluster.socket())).await;
            let services = services(local.unwrap().calls()).await.unwrap();
            for wanted in ["Engine", "Gitops", "Machine", "Role", "User"] {
                let wanted = format!("banyan.v1.{wanted}Service");
                assert!(services.contains(&wanted), "no {wanted} in {services:?}");
            }
            assert!(
                services.contains(&"grpc.health.v1.Health".to_owned()),
                "{services:?}"
            );
        });
        Ok(())
    });
    inside.unwrap();
}

/// The services that reflection lists.
async fn services(channel: Calls) -> Result<Vec<String>, Code> {
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut client = ServerReflectionClient::new(channel);
    let answer = client.server_reflection_info(tokio_stream::once(ask)).await;
    let mut answers = answer.map_err(|status| status.code())?.into_inner();
    let answer = answers.message().await.map_err(|status| status.code())?;
    match answer.and_then(|a| a.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|s| s.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_engine_shows_its_own_certificate_as_openssl_and_curl_see_it() {
    let name = "serving::the_engine_shows_its_own_certificate_as_openssl_and_curl_see_it";
    let inside = in_private_host(name, 4 * PATIENCE, || {
        let mut cluster = Cluster::new(Options {
            more: "  listen: 0.0.0.0\n",
            ..with_ports()
        });
        let pin = cluster.pin();
        cluster.start();
        assert_eq!(cluster.pin(), pin, "made before the engine ran");
        assert!(cluster.log().contains(&pin.to_string()));
        let file = |name: &str| cluster.state_dir().join("tls").join(name);
        let cert = file("cert.pem").display().to_string();
        let (public, der) = (file("public.pem"), file("public.der"));
        let (public, der) = (public.display().to_string(), der.display().to_string());
        openssl(&["x509", "-in", &cert, "-noout", "-pubkey", "-out", &public])?;
        openssl(&[
            "pkey", "-pubin", "-in", &public, "-outform", "der", "-out", &der,
        ])?;
        let digest = openssl(&["dgst", "-sha256", "-r", &der])?;
        let digest = digest.split(' ').next().unwrap();
        assert_eq!(format!("sha256:{digest}"), pin.to_string());

        let shaken = openssl(&[
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", PORTS.0),
            "-alpn",
            "h2",
            "-CAfile",
            &cert,
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
        ])?;
        for seen in ["TLSv1.3", "ALPN protocol: h2", "Verify return code: 0 (ok)"] {
            assert!(shaken.contains(seen), "no {seen} in {shaken}");
        }
        let url = format!("https://localhost:8080{KEYS}");
        one_public_key(&curl(&["--cacert", &cert, &url])?);
        curl(&[&url]).expect_err("no CA signed it");
        curl(&[&format!("http://localhost:8080{KEYS}")]).expect_err("off loopback without TLS");
        assert!(
            get("/healthz").is_ok(),
            "metrics and health stay as they are"
        );
        Ok(())
    });
    inside.unwrap();
}

#[test]
fn on_loopback_the_public_keys_are_served_without_tls() {
    let name = "serving::on_loopback_the_public_keys_are_served_without_tls";
    let inside = in_private_host(name, 4 * PATIENCE, || {
        let _cluster = Cluster::started_with(Options {
            more: "",
            ..with_ports()
        });
        one_public_key(&curl(&[&format!("http://127.0.0.1:8080{KEYS}")])?);
        assert_eq!(curl(&["http://127.0.0.1:8080/healthz"])?.0, "404");
        Ok(())
    });
    inside.unwrap();
}

#[test]
fn the_command_line_reaches_the_engine_it_was_told_to_trust_and_no_other() {
    let name = "serving::the_command_line_reaches_the_engine_it_was_told_to_trust_and_no_other";
    let inside = in_private_host(name, 4 * PATIENCE, || {
        let cluster = Cluster::started_with(with_ports());
        let pin = cluster.pin().to_string();
        cluster.user_with("nina", &["viewer"]);
        let login = ["login", "--engine", "localhost", "--username", "nina"];
        let ask = |more: &[&str]| {
            let args = [&login, &["--password-stdin"][..], more].concat();
            let output = cluster.banyan_told(&args, &format!("{PASSWORD}\n"));
            (output.status.code(), text(&output.stderr))
        };
        let cert = cluster
            .state_dir()
            .join("tls/cert.pem")
            .display()
            .to_string();
        let (code, said) = ask(&[]);
        assert_eq!(code, Some(6), "{said}");
        assert!(
            said.contains("on the engine's host run `banyan-engine pin`"),
            "{said}"
        );
        let wrong = format!("sha256:{}", "0".repeat(64));
        let (code, said) = ask(&["--engine-ca-pin", &wrong]);
        assert_eq!(code, Some(6), "{said}");
        assert!(
            said.contains(&format!("its key is {pin}, not the pinned {wrong}")),
            "{said}"
        );
        let (code, said) = ask(&["--engine-ca-pin", "sha256:1"]);
        assert_eq!(code, Some(2), "{said}");
        // From here on the engine is known: the login stores how it is authenticated.
        for known in [["--engine-ca-pin", &pin], ["--engine-ca-file", &cert]] {
            let (code, said) = ask(&known);
            assert_eq!(code, Some(0), "{said}");
        }
        let doctor = ["doctor", "--engine", "127.0.0.1", "--engine-ca-pin", &pin];
        let doctor = text(&cluster.banyan(&doctor).stdout);
        assert!(
            doctor.contains("127.0.0.1:50051, verified by its pin"),
            "{doctor}"
        );
        Ok(())
    });
    inside.unwrap();
}

#[test]
fn health_readiness_and_metrics_tell_how_it_is() {
    let name = "serving::health_readiness_and_metrics_tell_how_it_is";
    let inside = in_private_host(name, 4 * PATIENCE, || {
        let mut cluster = Cluster::new(Options {
            seed: false,
            ..with_ports()
        });
        let check = |cluster: &Cluster| cluster.engine_output(&["healthcheck"]);
        let down = check(&cluster);
        assert_eq!(down.status.code(), Some(1));
        assert!(
            text(&down.stderr).contains("127.0.0.1:50051"),
            "{}",
            text(&down.stderr)
        );

        cluster.start();
        assert!(check(&cluster).status.success());
        assert_eq!(get("/healthz")?, ("200".to_owned(), "ok\n".to_owned()));
        let (code, why) = get("/readyz")?;
        assert_eq!(
            (code.as_str(), why.as_str()),
            ("503", "no commit is in force yet\n")
        );

        cluster.write("cluster.yaml", &cluster.cluster_document());
        cluster.write("users/alice.yaml", &user("alice", &["admin"]));
        cluster.apply("Start");
        assert_eq!(get("/readyz")?.0, "200");
        cluster.write("users/nina.yaml", "kind: nonsense\n");
        let commit = cluster.push("Nonsense");
        assert_eq!(cluster.await_decision(&commit).state, "refused");
        assert_eq!(
            get("/readyz")?.0,
            "200",
            "what is in force is served all the same"
        );
        let (_, metrics) = get("/metrics")?;
        for line in [
            "banyan_generation 1",
            "banyan_commits_applied_total 1",
            "banyan_commits_refused_total 1",
            "banyan_objects{kind=\"user\"} 1",
            "banyan_passes_total{outcome=\"failed\"}",
        ] {
            assert!(metrics.contains(line), "no {line} in\n{metrics}");
        }
        assert!(metrics.contains("# TYPE banyan_commits_applied_total counter\n"));
        assert!(!metrics.contains("# EOF"));
        let url = format!("http://127.0.0.1:{}/metrics", PORTS.1);
        let (_, open) = curl(&["--header", "Accept: application/openmetrics-text", &url])?;
        assert!(open.ends_with("# EOF\n"));
        Ok(())
    });
    inside.unwrap();
}

#[test]
fn a_second_engine_on_the_same_state_folder_says_so_and_the_first_goes_on() {
    let cluster = Cluster::started();
    let second = cluster.engine_output(&["run"]);
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(
        said.contains("another engine is running") && said.contains("state_dir"),
        "{said}"
    );
    assert!(cluster.socket().exists());
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    cluster.apply("Add nina");
}

#[test]
fn a_bad_configuration_ends_with_3_and_the_line_and_starts_nothing() {
    let cluster = Cluster::new(Options::default());
    let check = || cluster.engine_output(&["config", "check"]);
    let good = check();
    assert!(good.status.success() && text(&good.stdout).contains("is valid"));
    assert!(
        !cluster.state_dir().exists(),
        "checking made a state folder"
    );

    let config = fs::read_to_string(cluster.config_file()).unwrap();
    let file = cluster.config_file().display().to_string();
    for (wrong, why) in [
        (
            config.replace("grpc_port:", "grpc_prot:"),
            format!("{file}:4:3: unknown key `grpc_prot`; did you mean `grpc_port`?"),
        ),
        (config.replace("poll: 1h", "poll: 1"), format!("{file}:12:")),
        (
            "agent: {}\n".to_owned(),
            "the section `engine:` is missing".to_owned(),
        ),
    ] {
        fs::write(cluster.config_file(), wrong).unwrap();
        for args in [&["config", "check"][..], &["run"]] {
            let output = cluster.engine_output(args);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{said}");
            assert!(said.contains(&why), "no {why} in {said}");
        }
    }
    fs::remove_file(cluster.config_file()).unwrap();
    assert_eq!(check().status.code(), Some(3));
    assert!(!cluster.state_dir().exists());
}

#[test]
fn no_private_key_or_identity_shows_anywhere_and_files_are_the_owners_only() {
    let mut cluster = Cluster::started_with(Options {
        machines: 5,
        ..Options::default()
    });
    let machine = cluster.new_machine("m9");
    cluster.write("machines/m9.yaml", &machine);
    cluster.apply("Add m9");
    cluster.write("machines/m9.yaml", &machine.replace("name: m9", "name: m8"));
    let commit = cluster.push("Paste it");
    assert_eq!(cluster.await_decision(&commit).state, "refused");
    cluster.kill9();
    cluster.start();
    let said: Vec<String> = [
        &["status"][..],
        &["gitops", "status"],
        &["gitops", "history"],
        &["machine", "list", "--output", "json"],
        &["explain", "machine", "m9"],
        &["plan"],
    ]
    .iter()
    .map(|args| cluster.banyan(args))
    .map(|output| text(&[output.stdout, output.stderr].concat()))
    .collect();
    assert!(said.iter().all(|s| !s.is_empty()), "{said:?}");
    assert_eq!(cluster.terminate().code(), Some(0));

    let mut places = vec![
        ("the log".to_owned(), cluster.log()),
        ("what was said".to_owned(), said.concat()),
    ];
    private(&cluster.state_dir(), &mut places);
    assert!(places.len() > 5, "hardly any files: {places:?}");
    for secret in cluster.secrets() {
        // Also without characters that a careless print might cut off or quote.
        let core = secret.trim().trim_end_matches('=');
        for (place, content) in &places {
            assert!(!content.contains(core), "a secret shows in {place}");
        }
    }
}

/// Asserts that only the owner can access a directory's content, and collects it.
#[track_caller]
fn private(folder: &Path, places: &mut Vec<(String, String)>) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                places.push((path.display().to_string(), text(&fs::read(&path).unwrap())));
            }
        }
    }
    let stores = places.iter().filter(|(path, _)| path.ends_with(".redb"));
    for (store, _) in stores.clone() {
        assert_eq!(
            mode(Path::new(store)) & 0o077,
            0,
            "{store} is open to others"
        );
    }
    assert!(stores.count() > 0, "no store: {places:?}");
}

#[test]
fn a_key_made_by_the_engine_is_its_own_and_stays() {
    let mut cluster = Cluster::new(Options::default());
    let config = fs::read_to_string(cluster.config_file()).unwrap();
    let without = config
        .lines()
        .filter(|line| !line.contains("wg_private_key_file"));
    fs::write(
        cluster.config_file(),
        without.collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    cluster.start();
    let own = cluster.state_dir().join("wg_private_key");
    let key = until(PATIENCE, || Ok(fs::read_to_string(&own)?)).unwrap();
    assert_eq!(
        fs::metadata(&own).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let public = || {
        serde_json::from_str::<serde_json::Value>(
            &cluster.banyan_ok(&["status", "--output", "json"]),
        )
        .unwrap()["engine"]["publicKey"]
            .clone()
    };
    let before = public();
    assert_ne!(before, cluster.engine_key().to_string());
    assert!(!cluster.log().contains(key.trim()));
    cluster.kill9();
    cluster.start();
    let after = serde_json::from_str::<serde_json::Value>(
        &cluster.banyan_ok(&["status", "--output", "json"]),
    )
    .unwrap()["engine"]["publicKey"]
        .clone();
    assert_eq!(after, before);
}

#[test]
fn an_engine_that_has_its_store_for_itself_is_alone_and_is_the_only_one_listed() {
    let cluster = Cluster::started_with(Options {
        store: Store::Embedded,
        ..Options::default()
    });
    let json = |args: &[&str]| -> serde_json::Value {
        let output = cluster.banyan(args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let engines = json(&["engine", "list", "-o", "json"]);
    let engine = &engines["engines"][0];
    assert_eq!(engines["engines"].as_array().unwrap().len(), 1);
    assert_eq!(engine["publicKey"], cluster.engine_key().to_string());
    for (key, expected) in [
        ("alive", true),
        ("leads", true),
        ("self", true),
        ("v4", true),
    ] {
        assert_eq!(engine[key], expected, "{key}: {engine}");
    }
    let status = json(&["status", "-o", "json"]);
    assert_eq!(status["engine"]["role"], "alone");
    assert_eq!(
        (&status["engine"]["engines"], &status["engine"]["viewAgeMs"]),
        (&1.into(), &0.into())
    );
    assert!(status["engine"]["storeProblem"].is_null());
    let output = cluster.banyan(&["engine", "remove", "north"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no engine north"));
}

#[test]
fn connections_whose_peer_does_not_answer_do_not_hold_up_the_exit() {
    let mut cluster = Cluster::started();
    let idle: Vec<UnixStream> = (0..20)
        .map(|number| {
            let mut stream = UnixStream::connect(cluster.socket()).unwrap();
            if number % 2 == 0 {
                // The preface of HTTP/2 and empty settings (RFC 9113 §3.4), and never a word again.
                stream
                    .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                    .unwrap();
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
                stream.read_exact(&mut [0; 9]).unwrap();
            }
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(cluster.terminate().code(), Some(0));
    // The engine gives them a second; the rest is for a loaded machine. Calls under way would be given ten.
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    drop(idle);
}

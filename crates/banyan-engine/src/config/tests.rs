use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("banyan.yaml"), text)
}

fn error(text: &str) -> String {
    crate::report(&parse(text).unwrap_err())
}

#[test]
fn a_minimal_file_gives_the_documented_defaults() {
    let config = parse("engine:\n  gitops:\n    url: /srv/cluster.git\n").unwrap();
    assert_eq!(config.source.branch, "main");
    assert_eq!(
        (config.grpc_port, config.metrics_port, config.wg_port),
        (50051, 9600, 51821)
    );
    assert_eq!(config.poll, Duration::from_secs(30));
    assert_eq!((config.http_port, config.tls), (8080, Tls::default()));
    assert!(config.listen.is_loopback());
    assert_eq!(config.wg_interface.as_str(), "wg-control");
}

#[test]
fn ports_may_be_quoted_and_other_programs_sections_are_ignored() {
    let text = "engine:\n  grpc_port: \"5000\"\n  metrics_port: 0\n  gitops: {url: file:///srv/x.git, poll: 5m}\nagent:\n  anything: [1]\ncli: {}\n";
    let config = parse(text).unwrap();
    assert_eq!((config.grpc_port, config.metrics_port), (5000, 0));
    assert_eq!(config.poll, Duration::from_secs(300));
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_valid_one() {
    let text = "engine:\n  grpc_prot: 1\n  gitops: {url: /x}\n";
    assert_eq!(
        error(text),
        "banyan.yaml:2:3: unknown key `grpc_prot`; did you mean `grpc_port`?"
    );
    assert!(error("engnie: {}\n").contains("did you mean `engine`?"));
}

#[test]
fn unsupported_values_are_refused_and_not_ignored() {
    for (text, key) in [
        ("gitops: {url: /x, verify: chain}", "engine.gitops.verify"),
        ("wireguard: kernel\n  gitops: {url: /x}", "engine.wireguard"),
        (
            "gitops: {url: 'https://git.example.org/x.git'}",
            "engine.gitops.url",
        ),
    ] {
        let error = error(&format!("engine:\n  {text}\n"));
        assert!(
            error.contains(key) && error.contains("not supported by this version"),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_value_says_which_key_and_why() {
    assert!(error("engine:\n  gitops: {url: /x, poll: 30}\n").contains("like 30s, 5m or 1h"));
    assert!(error("engine:\n  wg_port: 70000\n  gitops: {url: /x}\n").contains("0 to 65535"));
    assert!(
        error("engine:\n  guards: {max_removed_percent: 101}\n  gitops: {url: /x}\n")
            .contains("more than 100 %")
    );
    assert!(error("agent: {}\n").contains("the section `engine:` is missing"));
}

fn with_etcd(etcd: &str) -> String {
    format!("engine:\n  store_backend: etcd\n  etcd: {{{etcd}}}\n  gitops: {{url: /x}}\n")
}

#[test]
fn an_etcd_cluster_is_taken_with_its_login_and_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ca, cert, key) = (file("ca", "CA"), file("cert", "CERT"), file("key", "KEY"));
    let password = file("password", "hunter2\n");
    let config = parse(&with_etcd(&format!(
        "endpoints: ['https://a:2379', 'https://b:2379'], prefix: /fleet, user: banyan, password_file: {password}, ca_file: {ca}, cert_file: {cert}, key_file: {key}"
    )))
    .unwrap();
    assert_eq!(config.store_backend, StoreBackend::Etcd);
    let etcd = config.etcd.unwrap();
    assert_eq!(etcd.prefix, "/fleet/");
    assert_eq!(etcd.endpoints.len(), 2);
    assert_eq!(etcd.user.unwrap().1.expose(), "hunter2");
    assert_eq!(etcd.ca.unwrap(), "CA");
    assert_eq!(etcd.certificate.unwrap().1.expose(), "KEY");
    let plain = parse(&with_etcd("endpoints: ['http://127.0.0.1:2379']")).unwrap();
    assert_eq!(plain.etcd.unwrap().prefix, "banyan/");
}

#[test]
fn an_incomplete_etcd_section_is_refused() {
    for (etcd, expected) in [
        ("endpoints: []", "at least one"),
        ("endpoints: ['127.0.0.1:2379']", "number 1 is not a URL"),
        ("endpoints: ['http://a:1', 'https://b:1']", "http for all"),
        ("endpoints: ['https://a:1']", "https requires ca_file"),
        ("endpoints: ['http://a:1'], ca_file: /x", "require https"),
        ("endpoints: ['http://a:1'], user: x", "set password_file"),
        ("endpoints: ['http://a:1'], password: x", "set user"),
        (
            "endpoints: ['http://a:1'], user: x, password: y, password_file: /z",
            "keep one",
        ),
        (
            "endpoints: ['http://a:1'], user: x, password_file: /none",
            "cannot read /none",
        ),
        ("endpoint: ['http://a:1']", "did you mean `endpoints`"),
    ] {
        let error = error(&with_etcd(etcd));
        assert!(error.contains(expected), "{etcd}: {error}");
    }
    let error = error("engine:\n  store_backend: etcd\n  gitops: {url: /x}\n");
    assert!(error.contains("set engine.etcd"), "{error}");
}

#[test]
fn a_certificate_is_given_with_its_key_or_generated_for_names() {
    let with = |lines: &str| format!("engine:\n  {lines}\n  gitops: {{url: /x}}\n");
    let given = parse(&with("tls: {cert_file: /c.pem, key_file: /k.pem}")).unwrap();
    assert_eq!(given.tls.files, Some(("/c.pem".into(), "/k.pem".into())));
    let own = parse(&with(
        "tls: {names: [engine.example.org, 192.0.2.7, '2001:db8::1']}",
    ));
    assert_eq!(own.unwrap().tls.names.len(), 3);
    let port = parse(&with("http: {port: \"8443\"}")).unwrap();
    assert_eq!(port.http_port, 8443);
    for (lines, expected) in [
        ("tls: {cert_file: /c}", "set key_file"),
        ("tls: {key_file: /k}", "set cert_file"),
        (
            "tls: {cert_file: /c, key_file: /k, names: [x]}",
            "engine.tls.names",
        ),
        (
            "tls: {names: [localhost, 'a b']}",
            "number 2 is neither a name",
        ),
        (
            "tls: {names: ['*.example.org']}",
            "number 1 is neither a name",
        ),
        ("tls: {cert: /c}", "did you mean `cert_file`"),
        ("http: {prot: 1}", "did you mean `port`"),
        ("http: {port: 70000}", "0 to 65535"),
    ] {
        let error = error(&with(lines));
        assert!(error.contains(expected), "{lines}: {error}");
    }
}

#[test]
fn no_error_repeats_a_private_key() {
    let key = "QGVtYmFycmFzc2luZyBzZWNyZXQga2V5IG1hdGVyaWE=";
    for text in [
        format!("engine:\n  wg_private_key: {key}\n  nonsense: 1\n  gitops: {{url: /x}}\n"),
        format!("engine:\n  wg_private_key: [{key}]\n  gitops: {{url: /x}}\n"),
        format!("engine:\n  wg_private_key: {key}x\n  gitops: {{url: /x}}\n"),
        format!(
            "engine:\n  wg_private_key: {key}\n  wg_private_key_file: /x\n  gitops: {{url: /x}}\n"
        ),
        format!("engine:\n  wg_port: {key}\n  gitops: {{url: /x}}\n"),
    ] {
        let parsed = parse(&text);
        let error = crate::report(&parsed.unwrap_err());
        assert!(!error.contains("QGVt"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(engine:\n)?[ a-z_:{}\\[\\]\"'0-9\n|>&*!-]{0,80}") {
        let _ = parse(&text);
    }
}

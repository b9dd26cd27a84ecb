//! The engine as it is reached from another host: over TLS, by whoever has a token.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use banyan_api::Pin;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::version::TLS13;

use super::{Asked, Fake, Issued, Script};
use crate::setup::{Run, Setup};

/// A running engine; it goes with the process of the test.
pub(crate) struct Remote {
    pub(crate) address: String,
    pub(crate) pin: String,
    /// The authority that its certificate comes from: itself.
    pub(crate) ca_file: PathBuf,
    pub(crate) asked: Arc<Mutex<Asked>>,
    pub(crate) issued: Arc<Mutex<Issued>>,
}

impl Remote {
    pub(crate) fn start(setup: &Setup, script: Script) -> Self {
        let (asked, issued) = (Arc::default(), Arc::default());
        let fake = Fake {
            script: Arc::new(Mutex::new(script)),
            asked: Arc::clone(&asked),
            issued: Some(Arc::clone(&issued)),
        };
        let behind = setup.path("behind-tls.sock");
        // It runs on when this value is gone.
        std::mem::forget(fake.start(&behind));
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let ca_file = setup.path("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let pin = Pin::of(made.cert.der()).unwrap().to_string();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || front(listener, &Arc::new(config).into(), &behind));
        Self {
            address,
            pin,
            ca_file,
            asked,
            issued,
        }
    }

    /// Runs with the engine and its pin on the command line.
    pub(crate) fn run(&self, setup: &Setup, args: &[&str]) -> Run {
        self.run_with(setup, args, "")
    }

    pub(crate) fn run_with(&self, setup: &Setup, args: &[&str], input: &str) -> Run {
        setup.run_with(&[args, &self.named()].concat(), input)
    }

    pub(crate) fn named(&self) -> [&str; 4] {
        ["--engine", &self.address, "--engine-ca-pin", &self.pin]
    }

    /// Logs in, as it is done in a script.
    pub(crate) fn login(&self, setup: &Setup) {
        let login = ["login", "--username", "alice", "--password-stdin"];
        let run = self.run_with(setup, &login, "correct horse battery\n");
        assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
        assert!(run.err.contains(" as alice"), "{}", run.err);
    }

    pub(crate) fn issued(&self) -> std::sync::MutexGuard<'_, Issued> {
        self.issued.lock().unwrap()
    }
}

/// Takes off the TLS and passes on the bytes.
fn front(listener: std::net::TcpListener, tls: &TlsAcceptor, behind: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (tls, behind) = (tls.clone(), behind.to_owned());
            tokio::spawn(async move {
                let Ok(mut client) = tls.accept(tcp).await else {
                    return;
                };
                let mut engine = UnixStream::connect(behind).await.unwrap();
                // However it ends, it ends.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
            });
        }
    });
}

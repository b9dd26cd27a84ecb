//! The control socket through which `wg` finds a userspace device. Its directory is shared by the whole host, across
//! network namespaces.
//!
//! The library's own listener is not used: it removes the socket of a running process, and keeps listening after its
//! device is gone.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gotatun::device::uapi::{UapiClient, UapiServer};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::{DeviceError, InterfaceName};

/// Where `wg` looks for sockets.
const DIRECTORY: &str = "/run/wireguard";
/// A client that sends nothing for this long is disconnected; `wg` needs only a moment.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A control socket, served until it is dropped and then removed.
pub(super) struct ControlSocket {
    path: PathBuf,
    /// Device and inode, so that only our own file is removed.
    identity: (u64, u64),
    server: JoinHandle<()>,
}

impl ControlSocket {
    /// Creates the socket, replacing the one of a dead process. Only root can access it, since it reveals the private
    /// key. Must be called in a tokio runtime.
    pub(super) fn claim(name: &InterfaceName) -> Result<(Self, UapiServer), DeviceError> {
        let path = Path::new(DIRECTORY).join(format!("{name}.sock"));
        remove_stale(&path)?;
        let broken = |source| DeviceError::Socket {
            path: path.clone(),
            source,
        };
        let (listener, identity) = bind(&path).map_err(broken)?;
        let (client, server) = UapiServer::new();
        let socket = Self {
            path,
            identity,
            server: tokio::spawn(serve(listener, client)),
        };
        Ok((socket, server))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.server.abort();
        let ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a control socket");
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), DeviceError> {
    let broken = |source| DeviceError::Socket {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(broken(error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(broken(io::Error::other(
                "the existing file is not a socket",
            )));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "removing the control socket of a dead process");
            fs::remove_file(path).map_err(broken)
        }
        Err(error) => Err(broken(error)),
        Ok(_) => Err(DeviceError::SocketInUse {
            path: path.to_owned(),
        }),
    }
}

fn bind(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    fs::create_dir_all(DIRECTORY)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok((listener, identity(path)?))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

async fn serve(listener: UnixListener, client: UapiClient) {
    loop {
        let answered = match listener.accept().await {
            Ok((stream, _)) => answer(stream, client.clone()),
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "a control connection failed");
            // When file descriptors run out, accept fails at once, repeatedly.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn answer(stream: tokio::net::UnixStream, client: UapiClient) -> io::Result<()> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    client.wrap_read_write(stream);
    Ok(())
}

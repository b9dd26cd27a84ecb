//! One network interface, over netlink. Knows nothing of WireGuard.

use std::error::Error;

use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::packet_core::ErrorMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec};

use crate::{DeviceError, InterfaceName};

/// `ENODEV` and `ENXIO`, as netlink returns them.
const NO_SUCH_DEVICE: [i32; 2] = [-19, -6];

/// A netlink socket in the network namespace in which it was opened.
pub(super) struct Netlink {
    handle: Handle,
    name: InterfaceName,
}

impl Netlink {
    /// Must be called in a tokio runtime.
    pub(super) fn open(name: &InterfaceName) -> Result<Self, DeviceError> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| failed("reach", name, error))?;
        tokio::spawn(connection);
        Ok(Self {
            handle,
            name: name.clone(),
        })
    }

    /// The index of the interface of this name, if it exists.
    pub(super) async fn find(&self) -> Result<Option<u32>, DeviceError> {
        let links = self.handle.link().get().match_name(self.name.as_str());
        let found = first(links.execute()).await;
        let found = found.map_err(|error| failed("look up", &self.name, error))?;
        Ok(found.map(|link| link.header.index))
    }

    /// Whether the interface with that index still exists.
    pub(super) async fn exists(&self, index: u32) -> Result<bool, DeviceError> {
        let links = self.handle.link().get().match_index(index);
        let found = first(links.execute()).await;
        let found = found.map_err(|error| failed("look up", &self.name, error))?;
        Ok(found.is_some())
    }

    /// Sets the MTU, adds the addresses and brings the interface up.
    pub(super) async fn bring_up(
        &self,
        index: u32,
        mtu: u16,
        addresses: &[IpNet],
    ) -> Result<(), DeviceError> {
        let change = LinkMessageBuilder::<LinkUnspec>::default().index(index);
        let resized = self.handle.link().set(change.mtu(mtu.into()).build());
        self.done(format!("set an MTU of {mtu} on"), resized.execute().await)?;
        for net in addresses {
            let request = self.handle.address();
            let added = request.add(index, net.addr(), net.prefix_len()).execute();
            self.done(format!("add the address {net} to"), added.await)?;
        }
        let change = LinkMessageBuilder::<LinkUnspec>::default().index(index);
        let raised = self.handle.link().set(change.up().build());
        self.done("bring up".to_owned(), raised.execute().await)
    }

    /// Removes the interface; succeeds if it is already gone.
    pub(super) async fn delete(&self, index: u32) -> Result<(), DeviceError> {
        match self.handle.link().del(index).execute().await {
            Err(error) if is_missing(&error) => Ok(()),
            outcome => self.done("remove".to_owned(), outcome),
        }
    }

    fn done(
        &self,
        action: String,
        outcome: Result<(), rtnetlink::Error>,
    ) -> Result<(), DeviceError> {
        outcome.map_err(|error| failed(action, &self.name, error))
    }
}

async fn first(
    links: impl futures_util::Stream<Item = Result<LinkMessage, rtnetlink::Error>>,
) -> Result<Option<LinkMessage>, rtnetlink::Error> {
    let mut links = std::pin::pin!(links);
    match links.try_next().await {
        Err(error) if is_missing(&error) => Ok(None),
        other => other,
    }
}

fn is_missing(error: &rtnetlink::Error) -> bool {
    matches!(
        error,
        rtnetlink::Error::NetlinkError(ErrorMessage { code: Some(code), .. })
            if NO_SUCH_DEVICE.contains(&code.get())
    )
}

fn failed(
    action: impl Into<String>,
    name: &InterfaceName,
    source: impl Error + Send + Sync + 'static,
) -> DeviceError {
    DeviceError::Link {
        action: action.into(),
        name: name.clone(),
        source: Box::new(source),
    }
}

//! The store on real etcd servers.

#[cfg(test)]
mod access;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod support;
#[cfg(test)]
mod watches;

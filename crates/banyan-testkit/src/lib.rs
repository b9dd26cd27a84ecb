//! Shared test infrastructure: repositories, etcd servers, processes and network namespaces.

pub mod etcd;
pub mod git;
pub mod netns;

//! What tests share: repositories, keys, processes and network namespaces.

pub mod git;
pub mod netns;

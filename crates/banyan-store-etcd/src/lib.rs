//! The etcd backend of the store.
#![allow(missing_docs, missing_debug_implementations)]
#[derive(Default)]
pub struct EtcdOptions {
    pub endpoints: Vec<String>,
    pub prefix: String,
    pub login: Option<Login>,
    pub tls: Option<Tls>,
}
pub struct Login {
    pub name: String,
    pub password: zeroize::Zeroizing<String>,
}
pub struct Tls {
    pub ca_pem: String,
    pub identity: Option<(String, zeroize::Zeroizing<String>)>,
}
pub struct EtcdStore;
impl EtcdStore {
    pub fn connect(
        _: EtcdOptions,
    ) -> Result<banyan_store::EmbeddedStore, banyan_store::StoreError> {
        Err(banyan_store::StoreError::unavailable("x", "y"))
    }
}

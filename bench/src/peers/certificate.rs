//! The certificate that all gateways present: P-256, self-signed, made anew for each run.

use std::{
    io,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// Files in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// Certificate.
    pub(crate) certificate: PathBuf,
    /// Private key.
    pub(crate) key: PathBuf,
    /// Both, certificate first.
    pub(crate) both: PathBuf,
}

impl Certificate {
    /// Makes a certificate for `localhost` in a folder.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?.pem();
        let key = key.serialize_pem();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            io::Result::Ok(path)
        };
        Ok(Self {
            both: write("both.pem", &format!("{certificate}{key}"))?,
            certificate: write("certificate.pem", &certificate)?,
            key: write("key.pem", &key)?,
        })
    }
}

//! Certificates for nodes: an authority that both sides trust, a certificate for each node, and who is who.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use zfsvol_core::volume::Uuid;

use crate::pair::Outcome;

/// Which certificate is which node's: a line for each, `NAME UUID FINGERPRINT`.
const NODES: &str = "nodes";

/// A node, as the file says.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) node: Uuid,
    /// Of its certificate: SHA-256, in hexadecimal.
    pub(crate) fingerprint: String,
}

/// Makes an authority and a certificate for each name, in a folder that it creates. The authority's key is not kept: whoever has it could be any node.
pub(crate) fn make(folder: &Path, names: &[String]) -> Outcome {
    fs::create_dir(folder)?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let root = authority.self_signed(&authority_key)?;
    fs::write(folder.join("authority.pem"), root.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    let mut nodes = String::new();
    for name in names {
        let mut params = CertificateParams::new(vec![name.clone()])?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        write_key(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
        let fingerprint = fingerprint(certificate.der());
        nodes += &format!("{name} {} {fingerprint}\n", Uuid::new_v4());
    }
    Ok(fs::write(folder.join(NODES), nodes)?)
}

/// A key, for nobody else to read.
fn write_key(path: &Path, pem: &str) -> Outcome {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(pem.as_bytes())?)
}

/// Who is who.
pub(crate) fn known(folder: &Path) -> Outcome<Vec<Known>> {
    let text = fs::read_to_string(folder.join(NODES))?;
    text.lines()
        .map(|line| match line.split(' ').collect::<Vec<_>>().as_slice() {
            [name, node, fingerprint] => Ok(Known {
                name: (*name).to_owned(),
                node: node.parse()?,
                fingerprint: (*fingerprint).to_owned(),
            }),
            _ => Err(format!("'{line}' is not a name, a UUID and a fingerprint").into()),
        })
        .collect()
}

/// The node of that name.
pub(crate) fn node(folder: &Path, name: &str) -> Outcome<Uuid> {
    let found = known(folder)?.into_iter().find(|known| known.name == name);
    Ok(found.ok_or_else(|| format!("there is no certificate of '{name}'"))?.node)
}

/// What names a certificate.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who connects must have a certificate of the authority.
pub(crate) fn server(folder: &Path, name: &str) -> Outcome<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(folder)?);
    let clients =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let (certificate, key) = own(folder, name)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

/// And so must who is connected to, for the name that is meant. `own_folder` is where this side's certificate is.
pub(crate) fn client(folder: &Path, own_folder: &Path, name: &str) -> Outcome<Arc<ClientConfig>> {
    let (certificate, key) = own(own_folder, name)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(folder)?)
        .with_client_auth_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

fn roots(folder: &Path) -> Outcome<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("authority.pem"))?)?;
    Ok(roots)
}

fn own(folder: &Path, name: &str) -> Outcome<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.pem")))?;
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?;
    Ok((certificate, key))
}

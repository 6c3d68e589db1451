//! Certificates for a TLS server on one address, by an authority of its own that exists for that
//! server only.
//!
//! RFC 5280 §4.2.1.6 (names), §4.2.1.12 (purpose). Such an authority vouches for no signature: it
//! belongs in no trust root.

use std::net::IpAddr;

use crypto::Signer;
use der::Encode;
use der::asn1::OctetString;
use evidence::{Certificate, UnixTime};
use x509_cert::ext::pkix::name::GeneralName;

use super::chain::{CreateError, create_below, create_root, name};
use super::{
    KEY_USAGE, SERVER_AUTHENTICATION, SUBJECT_ALTERNATIVE_NAME, SerialNumber, USAGE_SIGNATURE,
    extended_key_usage, extension,
};

/// Makes the certificates of a server: its own first, then the one that clients are told to trust.
/// Whoever throws `root` away afterwards knows that nothing else will chain to it.
///
/// # Errors
/// When a key cannot sign certificates, or a name cannot be encoded.
pub fn create_server_chain(
    root: &dyn Signer,
    server: &dyn Signer,
    address: IpAddr,
    organization: &str,
    serials: [SerialNumber; 2],
    now: UnixTime,
) -> Result<Vec<Certificate>, CreateError> {
    let [root_serial, server_serial] = serials;
    let root_name = name(organization, "Countersign server root")?;
    let root_certificate = create_root(root, &root_name, 0, root_serial, now)?;
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let names = vec![GeneralName::IpAddress(OctetString::new(octets)?)];
    let extensions = vec![
        extension(KEY_USAGE, true, USAGE_SIGNATURE)?,
        extended_key_usage(false, SERVER_AUTHENTICATION)?,
        extension(SUBJECT_ALTERNATIVE_NAME, false, names.to_der()?)?,
    ];
    let certificate = create_below(
        (&root_certificate, root),
        server.public_key(),
        &name(organization, "Countersign server")?,
        extensions,
        server_serial,
    )?;
    Ok(vec![certificate, root_certificate])
}

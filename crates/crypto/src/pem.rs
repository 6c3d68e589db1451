//! PEM blocks (RFC 7468), read whatever the width of their lines.

use pem_rfc7468::{Decoder, LineEnding};

/// Why text is no PEM block.
pub type PemError = pem_rfc7468::Error;

/// Decodes one block: its label and its content. Lines may be of any one width, since signers and
/// people wrap them differently; the content is what counts.
///
/// # Errors
/// When the text is not one block of canonical base64.
pub fn decode(pem: &[u8]) -> Result<(&str, Vec<u8>), PemError> {
    let mut decoder = Decoder::new_detect_wrap(pem.trim_ascii())?;
    let mut der = Vec::new();
    decoder.decode_to_end(&mut der)?;
    Ok((decoder.type_label(), der))
}

/// Encodes one block with LF line ends and 64 columns, as Go's `encoding/pem` does.
///
/// # Panics
/// When the label is not upper-case ASCII: labels are constants.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).expect("a PEM label is a constant")
}

//! How large a statement becomes on its way, measured before anything is sent: in a bundle, and in
//! the request to a log that wants whole envelopes.
//!
//! Logs of the second generation, and `hashedrekord` in the first, are sent hashes only, whatever
//! the size.

/// What stands around the payload in a bundle, at most: a certificate, log entries with their proofs
/// and checkpoints, timestamps.
const BUNDLE_REST: u64 = 64 * 1024;
/// What stands around the payload in a request for `dsse` or `intoto`: a signature and a certificate.
const REQUEST_REST: u64 = 16 * 1024;

/// What a statement is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A bundle, beside the image or the file.
    Bundle,
    /// The request to a log that takes the envelope whole (`dsse` and `intoto` in Rekor v1).
    LogRequest,
}

/// How much a carrier takes, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub carrier: Carrier,
    /// The most that is taken, in bytes.
    pub max: u64,
    /// Whose limit it is, for people.
    pub whose: &'static str,
}

/// Cosign's readers: `COSIGN_MAX_ATTACHMENT_SIZE` by default.
pub const COSIGN: Limit =
    Limit { carrier: Carrier::Bundle, max: 128 << 20, whose: "Cosign's default for what it reads" };
/// An instance of ours (and Fulcio's, and rekor-tiles', for theirs).
pub const OWN_LOG: Limit = Limit {
    carrier: Carrier::LogRequest,
    max: 4 << 20,
    whose: "a Countersign log's for one request",
};
/// The public log of the first generation. It does not say; its load balancer answered 502 to an
/// SBOM of 46 MB (sigstore/rekor#2915), which is a request of 61 MB.
pub const PUBLIC_LOG: Limit = Limit {
    carrier: Carrier::LogRequest,
    max: 61_000_000,
    whose: "the public log's load balancer's, as far as is known",
};

/// A statement that is too large for a carrier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a statement of {statement} bytes makes {} of about {size} bytes; the limit is {} ({})",
    match limit.carrier { Carrier::Bundle => "a bundle", Carrier::LogRequest => "a log request" },
    limit.max, limit.whose
)]
pub struct TooLarge {
    /// Size of the statement in bytes.
    pub statement: u64,
    /// Size of what would carry it, in bytes, rounded up.
    pub size: u64,
    /// The limit.
    pub limit: Limit,
}

impl TooLarge {
    /// What somebody can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.limit.carrier {
            Carrier::LogRequest => {
                "sign a reference to the document with --by-digest, or use a log of the second \
                 generation, which is sent hashes only"
            }
            Carrier::Bundle => "sign a reference to the document with --by-digest",
        }
    }
}

/// About how large a carrier becomes with a statement of that size; never less than it will be.
#[must_use]
pub fn carried(carrier: Carrier, statement: u64) -> u64 {
    let rest = match carrier {
        Carrier::Bundle => BUNDLE_REST,
        Carrier::LogRequest => REQUEST_REST,
    };
    // Base64 in an envelope; base64 has nothing that a string in JSON would have to escape.
    statement.div_ceil(3).saturating_mul(4).saturating_add(rest)
}

/// Measures a statement against every limit that applies.
///
/// # Errors
/// At the first that it passes.
pub fn check(statement: u64, limits: &[Limit]) -> Result<(), TooLarge> {
    for limit in limits {
        let size = carried(limit.carrier, statement);
        if size > limit.max {
            return Err(TooLarge { statement, size, limit: *limit });
        }
    }
    Ok(())
}

//! Trust that somebody names certificate by certificate, in place of a part of a trust root.
//!
//! Each is believed for as long as its own certificates are valid: such files say nothing else.

use evidence::Certificate;

use super::{CertificateAuthority, TimestampAuthority, TrustRoot, Window};
use crate::chain::{AUTHORITIES_MAX, BadChain, Links, check_link};

/// Most certificates that may be named at once. A certificate authority has a handful.
pub const NAMED_MAX: usize = 32;

impl TrustRoot {
    /// Believes nobody: for a pinned key of which neither log nor time is wanted, and to be filled by
    /// [`TrustRoot::certified_by`] and [`TrustRoot::stamped_by`].
    #[must_use]
    pub fn of_nobody() -> Self {
        let digest = crypto::sha256(b"");
        Self {
            authorities: Vec::new(),
            certificate_logs: Vec::new(),
            logs: Vec::new(),
            timestamp_authorities: Vec::new(),
            thresholds: super::Thresholds::ONE,
            content_digest: digest,
            digest,
        }
    }

    /// The same trust root with the certificate authorities below these roots in place of its own:
    /// each root, and each intermediate, by whatever way it leads to a root. `name` is what they are
    /// called where people read of them.
    ///
    /// # Errors
    /// When there is no root, there are more than [`NAMED_MAX`] certificates, an intermediate leads to
    /// no root, or one of them may not certify signers.
    pub fn certified_by(
        mut self,
        name: &str,
        roots: &[Certificate],
        intermediates: &[Certificate],
    ) -> Result<Self, BadChain> {
        if roots.is_empty() {
            return Err(BadChain::Empty);
        }
        if roots.len() + intermediates.len() > NAMED_MAX {
            return Err(BadChain::TooMany { max: NAMED_MAX });
        }
        let mut paths: Vec<_> = roots.iter().map(|root| vec![root.clone()]).collect();
        for (index, intermediate) in intermediates.iter().enumerate() {
            let found = paths_above(vec![intermediate.clone()], roots, intermediates);
            if found.is_empty() {
                return Err(BadChain::NoRoot { index });
            }
            paths.extend(found);
        }
        let authority = |path: Vec<Certificate>| {
            let window = path.last().map(Window::of).ok_or(BadChain::Empty)?;
            CertificateAuthority::new(name.to_owned(), path, window, Links::Verified)
        };
        self.authorities = paths.into_iter().map(authority).collect::<Result<_, _>>()?;
        Ok(self.with_named("certificate authorities", &[roots, intermediates]))
    }

    /// The same trust root with this timestamp authority in place of its own: its certificates, the
    /// one that signs timestamps or else issues to who does first, the root last.
    ///
    /// # Errors
    /// When there are none or more than [`NAMED_MAX`], they do not hold together, or may not sign
    /// timestamps.
    pub fn stamped_by(mut self, name: &str, chain: Vec<Certificate>) -> Result<Self, BadChain> {
        if chain.len() > NAMED_MAX {
            return Err(BadChain::TooMany { max: NAMED_MAX });
        }
        let window = chain.last().map(Window::of).ok_or(BadChain::Empty)?;
        self = self.with_named("timestamp authority", &[&chain]);
        let authority = TimestampAuthority::new(name.to_owned(), chain, window, Links::Verified)?;
        self.timestamp_authorities = vec![authority];
        Ok(self)
    }

    /// Makes the trust root another than the one it was, which its digest tells.
    fn with_named(mut self, what: &str, named: &[&[Certificate]]) -> Self {
        let mut bytes = [self.content_digest.as_slice(), &crypto::sha256(what.as_bytes())].concat();
        for list in named {
            let hashes = list.iter().map(|certificate| crypto::sha256(certificate.der()));
            bytes.extend(crypto::sha256(&hashes.flatten().collect::<Vec<_>>()));
        }
        self.content_digest = crypto::sha256(&bytes);
        let thresholds = self.thresholds;
        self.demanding(thresholds)
    }
}

/// Every way from the last certificate of this path up to a root, as far as chains may go. Only links
/// whose signature holds are followed.
fn paths_above(
    path: Vec<Certificate>,
    roots: &[Certificate],
    intermediates: &[Certificate],
) -> Vec<Vec<Certificate>> {
    let Some(last) = path.last() else { return Vec::new() };
    if path.len() == AUTHORITIES_MAX {
        return Vec::new();
    }
    let issued_last = |issuer: &&Certificate| check_link(0, last, issuer).is_ok();
    let through = |issuer: &Certificate| [path.as_slice(), std::slice::from_ref(issuer)].concat();
    let ends = roots.iter().filter(issued_last).map(through);
    let further = intermediates.iter().filter(issued_last).filter(|issuer| !path.contains(issuer));
    let further = further.flat_map(|issuer| paths_above(through(issuer), roots, intermediates));
    ends.chain(further).collect()
}

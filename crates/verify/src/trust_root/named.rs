//! Trust that somebody names certificate by certificate, in place of a part of a trust root.
//!
//! Each is believed for as long as its own certificates are valid: such files say nothing else.

use evidence::Certificate;

use super::{CertificateAuthority, TimestampAuthority, TrustRoot, Window};
use crate::chain::{AUTHORITIES_MAX, BadChain, Links, check_link};

/// Most certificates that may be named at once. A certificate authority has a handful.
pub const NAMED_MAX: usize = 32;

/// Most certificates gone through on all ways from the intermediates to the roots. Where nobody is
/// certified by two, each of [`NAMED_MAX`] goes through [`AUTHORITIES_MAX`] at most.
const VISITS_MAX: usize = NAMED_MAX * AUTHORITIES_MAX;

impl TrustRoot {
    /// Believes nobody: for a pinned key of which neither log nor time is wanted on a machine that
    /// knows no trust root, and to be filled by [`TrustRoot::certified_by`] and
    /// [`TrustRoot::stamped_by`].
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
    /// no root, there are too many ways to the roots, or one of them may not certify signers.
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
        let authority = |path: Vec<Certificate>| {
            let window = path.last().map(Window::of).ok_or(BadChain::Empty)?;
            CertificateAuthority::new(name.to_owned(), path, window, Links::Verified)
        };
        self.authorities =
            roots.iter().map(|root| authority(vec![root.clone()])).collect::<Result<_, _>>()?;
        // A root among the intermediates, as in a whole chain, stands for itself already.
        let between: Vec<_> = intermediates.iter().filter(|it| !roots.contains(it)).collect();
        let mut paths = Paths { roots, between: &between, found: Vec::new(), visits: 0 };
        for (index, intermediate) in intermediates.iter().enumerate() {
            if roots.contains(intermediate) {
                continue;
            }
            paths.above(vec![intermediate.clone()])?;
            let found = std::mem::take(&mut paths.found);
            let made: Vec<_> = found.into_iter().map(authority).collect();
            // One way that does not hold takes nothing from another that does.
            let holds = made.iter().any(Result::is_ok);
            match made.iter().find_map(|made| made.as_ref().err()) {
                Some(why) if !holds => {
                    return Err(BadChain::NoWay { index, source: Box::new(why.clone()) });
                }
                None if !holds => return Err(BadChain::NoRoot { index }),
                _ => self.authorities.extend(made.into_iter().flatten()),
            }
        }
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

/// The ways from intermediates up to the roots, as far as chains may go.
struct Paths<'a> {
    roots: &'a [Certificate],
    between: &'a [&'a Certificate],
    found: Vec<Vec<Certificate>>,
    /// Certificates gone through so far, for whichever intermediate.
    visits: usize,
}

impl Paths<'_> {
    /// Finds every way from the last certificate of this path. Only links whose signature holds are
    /// followed.
    fn above(&mut self, path: Vec<Certificate>) -> Result<(), BadChain> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Err(BadChain::TooManyWays { max: VISITS_MAX });
        }
        let Some(last) = path.last() else { return Ok(()) };
        if path.len() == AUTHORITIES_MAX {
            return Ok(());
        }
        let issued_last = |issuer: &Certificate| check_link(0, last, issuer).is_ok();
        let through =
            |issuer: &Certificate| [path.as_slice(), std::slice::from_ref(issuer)].concat();
        self.found.extend(self.roots.iter().filter(|root| issued_last(root)).map(through));
        for issuer in self.between {
            if !path.contains(issuer) && issued_last(issuer) {
                self.above(through(issuer))?;
            }
        }
        Ok(())
    }
}

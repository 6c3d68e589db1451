//! Whom to believe, and of whom evidence is wanted, as arguments.

use clap::Args;
use verify::{CertificateTransparency, Demands, Logging, ProviderName, TimeSource};

use super::demands::DemandArguments;
use super::instance::{InstanceNeed, TrustNeeds};
use super::named_signer::NamedSignerArguments;
use super::named_trust::NamedTrustArguments;
use super::wanted::{Signer, Wanted};
use crate::exit::Failure;
use crate::ui;

/// The signer to want, what is demanded of what it signed, and authorities that are named.
#[derive(Debug, Args)]
pub(crate) struct SignerArguments {
    #[command(flatten)]
    named: NamedSignerArguments,

    #[command(flatten)]
    demands: DemandArguments,

    #[command(flatten)]
    named_trust: NamedTrustArguments,
}

impl SignerArguments {
    /// Whether anything is said of who must have signed, be it enough or not.
    pub(crate) fn is_given(&self) -> bool {
        self.named.is_given()
    }

    /// Whether anything is waived or wanted on top of what always is.
    pub(crate) fn has_demands(&self) -> bool {
        self.demands() != Demands::all()
    }

    /// Whether authorities are named in place of the trust root's.
    pub(crate) fn names_trust(&self) -> bool {
        self.named_trust.names_authorities() || self.named_trust.names_stamps()
    }

    /// As [`Self::wanted`]; if nobody is named, whoever was certified. That says who signed, not that
    /// it was the right one.
    pub(crate) fn wanted_or_anybody(&self) -> Result<Wanted, Failure> {
        if self.is_given() { self.wanted() } else { Ok(self.wanting(Signer::Anybody)) }
    }

    /// Who must have signed. That nobody is named is known before anything is asked of anybody.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        Ok(self.wanting(self.named.signer()?))
    }

    /// This signer, and what is demanded besides; what is waived is told.
    fn wanting(&self, signer: Signer) -> Wanted {
        self.demands.tell();
        let demands = self.demands();
        if demands.provider == ProviderName::Waived {
            ui::note(
                "certificates need not name an identity provider: the authorities that are named \
                 vouch for signers alone",
            );
        }
        Wanted { signer, demands }
    }

    fn demands(&self) -> Demands {
        let mut demands = self.demands.demands();
        // As in Cosign: who names a timestamp authority wants its word.
        if self.named_trust.names_stamps() {
            demands.time = TimeSource::SignedTimestamp;
        }
        // A company's own authority certifies without a provider, which then none is named of; those
        // of a Sigstore instance never do.
        let wants_none = !self.is_given() || self.named.may_have_no_provider();
        if self.named_trust.names_authorities() && wants_none {
            demands.provider = ProviderName::Waived;
        }
        demands
    }

    /// What of a trust root is needed. What is named cannot be used is known before anybody is asked.
    pub(crate) fn trust_needs(&self) -> Result<TrustNeeds, Failure> {
        let named = self.named_trust.read()?;
        let Demands { logging, transparency, time, .. } = self.demands();
        let certified = !self.named.is_key();
        let needed = logging == Logging::Required
            || certified && transparency == CertificateTransparency::Required
            || certified && !self.named_trust.names_authorities()
            || time == TimeSource::SignedTimestamp && !self.named_trust.names_stamps();
        let instance = if needed { InstanceNeed::Needed } else { InstanceNeed::NotNeeded };
        Ok(TrustNeeds { instance, named })
    }
}

//! What was found out about images, and what can be done about those that are not signed.

use client::registry::Presence;
use verify::{
    Artifact, Case, Explanation, Ground, NonEmpty, Obstacle, Piece, Policy, Verdict, WantedIn,
};

use crate::arguments::recursion::{Family, Target};
use crate::exit::Exit;
use crate::machine;
use crate::ui::verdict::summary::Summary;
use crate::ui::verdict::{self, Shown, Within};

/// What was found out about one reference.
pub(crate) struct Judged {
    /// About the manifests that were looked at because of it.
    pub(crate) outcomes: Vec<Outcome>,
    family: Family,
}

/// What was found out about one manifest.
pub(crate) struct Outcome {
    name: String,
    artifact: Artifact<'static>,
    pub(crate) verdict: Verdict,
    explanations: Vec<Explanation>,
    /// Its place in an index, if it was looked at because of that.
    pub(super) within: Option<Within>,
    /// What the registry says that it is, where it was asked.
    pub(super) presence: Option<Presence>,
    hint: Option<String>,
    /// Where it is said what was wanted.
    wanted_in: WantedIn,
    /// The evidence that the verdict rests on.
    pub(crate) pieces: Vec<Piece>,
}

impl Judged {
    /// What is known of the whole goes into the outcomes.
    pub(super) fn new(family: Family, mut outcomes: Vec<Outcome>) -> Self {
        // Where not everything is known that an index names, nothing is verified by it.
        let obstacles = family.obstacles.iter().cloned();
        if let (Some(obstacles), Some(root)) = (NonEmpty::collect(obstacles), outcomes.first_mut())
        {
            root.doubt(obstacles);
        }
        let hints: Vec<_> = outcomes.iter().map(|outcome| hint(outcome, &outcomes)).collect();
        for (outcome, hint) in outcomes.iter_mut().zip(hints) {
            outcome.hint = hint;
        }
        Self { outcomes, family }
    }

    /// What became of the whole, if it is an index that was looked into.
    pub(super) fn summary(&self) -> Option<Summary<'_>> {
        let family = &self.family;
        let index = family.index.as_ref()?;
        let (root, members) = match index.demanded {
            true => self.outcomes.split_first().map(|(root, members)| (Some(root), members))?,
            false => (None, self.outcomes.as_slice()),
        };
        Some(Summary {
            name: &family.name,
            index: root.map(Outcome::exit),
            members: members.iter().map(Outcome::as_member).collect(),
            build_records: index.build_records,
        })
    }

    pub(super) fn exit(&self) -> Exit {
        self.outcomes.iter().map(Outcome::exit).fold(Exit::Success, Exit::worse_of)
    }
}

impl Outcome {
    /// Judges what was gathered.
    pub(super) fn new(
        policy: &Policy,
        wanted_in: WantedIn,
        explain: bool,
        target: &Target,
        mut pieces: Vec<Piece>,
        obstacles: &[Obstacle],
    ) -> Self {
        let name = target.name.clone();
        let artifact = Artifact::from_digest(target.digest);
        let case = Case { artifact: &artifact, pieces: &pieces, obstacles };
        let now = machine::now();
        let (verdict, explanations) = match explain {
            true => policy.explain(&case, now, wanted_in),
            false => (policy.judge(&case, now), Vec::new()),
        };
        // All that others put beside many images would take memory without end. What lies in the
        // same manifest as what the verdict rests on may be anybody's.
        let mut held = vec![false; pieces.len()];
        if let Verdict::Admit(grounds) = &verdict {
            for ground in &grounds.0 {
                if let Ground::Claim { piece, .. } = ground {
                    held[*piece] = true;
                }
            }
        }
        let mut held = held.into_iter();
        pieces.retain(|_| held.next() == Some(true));
        let (within, presence, hint) = (None, None, None);
        Self { name, artifact, verdict, explanations, within, presence, hint, wanted_in, pieces }
    }

    /// Takes note of what is in the way of any verdict.
    fn doubt(&mut self, mut obstacles: NonEmpty<Obstacle>) {
        let reasons = match &self.verdict {
            Verdict::Admit(_) => Vec::new(),
            Verdict::Refuse(reasons) => reasons.iter().cloned().collect(),
            Verdict::Unknown(further, reasons) => {
                obstacles.extend(further.iter().cloned());
                reasons.clone()
            }
        };
        self.verdict = Verdict::Unknown(obstacles, reasons);
        self.pieces.clear();
    }

    /// What there is to show.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            digest: self.artifact.digest(),
            verdict: &self.verdict,
            explanations: &self.explanations,
            within: self.within.as_ref(),
            hint: self.hint.as_deref(),
            wanted_in: self.wanted_in,
        }
    }

    /// Whether nothing at all was found, and everything was seen.
    pub(super) fn is_unsigned(&self) -> bool {
        self.exit() == Exit::Unsigned
    }

    /// What became of it, and the platforms that it is for.
    fn as_member(&self) -> (Exit, &[String]) {
        let platforms = self.within.as_ref().map(|within| within.platforms.as_slice());
        (self.exit(), platforms.unwrap_or_default())
    }

    fn exit(&self) -> Exit {
        verdict::exit(&self.verdict)
    }
}

/// What can be done about a manifest that is not signed, given what became of its kin.
fn hint(outcome: &Outcome, kin: &[Outcome]) -> Option<String> {
    if !outcome.is_unsigned() {
        return None;
    }
    if let Some(Within { index, .. }) = &outcome.within {
        let covering = kin.iter().find(|kin| kin.artifact.digest() == index);
        let covered = covering.is_some_and(|kin| kin.exit() == Exit::Success);
        let hint = format!("the index {index} is verified, and covers it without --recursive");
        return covered.then_some(hint);
    }
    let hint = match outcome.presence? {
        Presence::Absent => "there is nothing with this digest in the registry: check it",
        Presence::There { is_index: Some(true) } => {
            let members = || kin.iter().filter(|kin| kin.within.is_some());
            let held = members().all(|kin| kin.exit() == Exit::Success);
            match members().next() {
                None => "it is an index: --recursive=leaves looks at each image in it instead",
                Some(_) if held => "each image in it is verified, as --recursive=leaves demands",
                Some(_) => return None,
            }
        }
        Presence::There { is_index: _ } => {
            "if an index names it, that may be what is signed, and covers it: verify the index"
        }
    };
    Some(hint.to_owned())
}

//! One line for a whole index: what of it is verified.

use crate::exit::Exit;
use crate::ui::{BAD, GOOD, UNSURE, plain};

/// What became of an index and the images in it.
pub(crate) struct Summary<'a> {
    /// What the user called the index.
    pub(crate) name: &'a str,
    /// What became of the index itself, if its own signature was demanded.
    pub(crate) index: Option<Exit>,
    /// What became of each image and inner index, and the platforms it is for.
    pub(crate) members: Vec<(Exit, &'a [String])>,
    /// How many build records were passed over.
    pub(crate) build_records: usize,
}

impl Summary<'_> {
    /// The line.
    pub(crate) fn line(&self) -> String {
        let exits = self.members.iter().map(|(exit, _)| *exit).chain(self.index);
        let style_and_word = match exits.fold(Exit::Success, Exit::worse_of) {
            Exit::Success => (GOOD, "all verified"),
            Exit::Unsigned | Exit::Untrusted => (BAD, "not all verified"),
            Exit::Unknown | Exit::Usage | Exit::Failure => (UNSURE, "could not tell of all"),
        };
        let (style, word) = style_and_word;
        let index = match self.index {
            None => "",
            Some(Exit::Success) => "the index, and ",
            Some(_) => "not the index, and ",
        };
        let (all, held) = (self.members.len(), self.held());
        let count = match (held, all) {
            (1, 1) => "the only one in it".to_owned(),
            (held, all) if held == all => format!("all of the {all} in it"),
            (held, all) => format!("{held} of the {all} in it"),
        };
        let missing = self.missing();
        let records = match self.build_records {
            0 => String::new(),
            1 => "; a build record, which runs nowhere, was passed over".to_owned(),
            count => format!("; {count} build records, which run nowhere, were passed over"),
        };
        let name = plain(self.name);
        format!("{style}{word}{style:#} {name}: {index}{count}{missing}{records}")
    }

    fn held(&self) -> usize {
        self.members.iter().filter(|(exit, _)| *exit == Exit::Success).count()
    }

    /// The platforms of those that are not verified.
    fn missing(&self) -> String {
        let failed = self.members.iter().filter(|(exit, _)| *exit != Exit::Success);
        let platforms: Vec<_> = failed.flat_map(|(_, platforms)| platforms.iter()).collect();
        match platforms.as_slice() {
            [] => String::new(),
            platforms => {
                let platforms: Vec<_> = platforms.iter().map(|text| plain(text)).collect();
                format!("; not for {}", platforms.join(", "))
            }
        }
    }
}

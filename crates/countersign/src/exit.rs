//! Exit codes, and failures that end a command.
//!
//! 10 and 12 mean what they mean in Cosign; 2 is what every command line tool uses for wrong
//! arguments. "Could not tell" has its own, so that no script mistakes it for "unsigned".

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a verification, verified.
    Success,
    /// Something failed that is none of the others.
    Failure,
    /// The arguments, or a file they name, cannot be used.
    Usage,
    /// It could not be told: something could not be read or reached.
    Unknown,
    /// Nothing is signed.
    Unsigned,
    /// Something is signed, but nothing that is trusted.
    Untrusted,
}

impl Exit {
    /// The one that matters more: what could not be told outweighs what is not trusted, which
    /// outweighs what is not signed.
    pub(crate) fn worse_of(self, other: Self) -> Self {
        let weight = |exit| match exit {
            Self::Success => 0,
            Self::Unsigned => 1,
            Self::Untrusted => 2,
            Self::Unknown => 3,
            Self::Usage => 4,
            Self::Failure => 5,
        };
        if weight(other) > weight(self) { other } else { self }
    }

    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Unsigned => 10,
            Self::Untrusted => 12,
        }
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    hint: Option<String>,
}

impl Failure {
    /// A failure without a cause of its own.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), source: None, hint: None }
    }

    /// Arguments that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what caused it.
    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says during what it happened.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The message with every cause, joined by colons.
    pub(crate) fn full_message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause: Option<&dyn std::error::Error> = match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = cause {
            let said = error.to_string();
            // Some errors say themselves what caused them.
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        text
    }

    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

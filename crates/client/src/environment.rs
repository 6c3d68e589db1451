//! The environment variables that the program was started with, handed down as a value.

use std::collections::BTreeMap;
use std::fmt;

use crate::secret::Secret;

/// Variables by name. Their values may be secret, so they are never printed.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Secret>);

impl Environment {
    /// Takes variables, as `std::env::vars` gives them.
    pub fn new<N: Into<String>>(variables: impl IntoIterator<Item = (N, String)>) -> Self {
        let variables = variables.into_iter();
        Self(variables.map(|(name, value)| (name.into(), Secret::new(value))).collect())
    }

    /// A variable's value; `None` if it is not set or empty, which programs treat alike.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.expose().is_empty())
    }

    /// All variables, for a program that is started with them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

//! What an operator has rigs told: a text to show, or to connect again. Only rigs at work are told: before that, any
//! line that was not asked for would be taken for an answer.

use crate::base::slots::Key;
use crate::coin::script::Script;
use crate::wire::stratum::{self, Line};

use super::{Output, Pool};

impl Pool {
    /// Shows a text on rigs that mine for `script`, or on all; says how many were told.
    pub fn show_message(&mut self, text: &str, script: Option<&Script>) -> usize {
        self.tell(stratum::show_message(text), script)
    }

    /// Asks rigs that mine for `script`, or all, to connect again, for instance after the place behind this address
    /// was changed; says how many were asked. They come back within seconds, with their sessions.
    pub fn reconnect_miners(&mut self, script: Option<&Script>) -> usize {
        self.tell(stratum::reconnect(), script)
    }

    fn tell(&mut self, line: Line, script: Option<&Script>) -> usize {
        let keys: Vec<Key> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_mining())
            .filter(|(_, session)| {
                script.is_none_or(|script| {
                    session.authorised.iter().any(|authorised| authorised.identity.script() == script)
                })
            })
            .map(|(key, _)| key)
            .collect();
        for key in &keys {
            self.outputs.push_back(Output::ToMiner { session: *key, line: line.clone() });
        }
        keys.len()
    }
}

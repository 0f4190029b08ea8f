//! Dotted names of closures as sets of sets.

use std::collections::BTreeMap;

use super::GlobalKind;
use crate::{ir::GlobalId, symbol::Symbol};

/// Names, and what lies under them.
#[derive(Default)]
pub(super) struct Members(BTreeMap<String, Member>);

enum Member {
    Closure(GlobalId),
    Set(Members),
}

impl Members {
    /// Adds a closure under a dotted name.
    pub(super) fn insert(&mut self, name: &str, id: GlobalId) {
        let Some((first, rest)) = name.split_once('.') else {
            self.0.insert(name.to_owned(), Member::Closure(id));
            return;
        };
        let member =
            self.0.entry(first.to_owned()).or_insert_with(|| Member::Set(Members::default()));
        if let Member::Closure(_) = member {
            *member = Member::Set(Members::default());
        }
        if let Member::Set(members) = member {
            members.insert(rest, id);
        }
    }

    /// Gives every set a number, those inside first, and lists the outermost names.
    pub(super) fn number(
        &self,
        sym: &impl Fn(&str) -> Symbol,
        kinds: &mut Vec<GlobalKind>,
        groups: &mut Vec<Vec<(Symbol, GlobalId)>>,
    ) -> Vec<(Symbol, GlobalId)> {
        let mut all: Vec<(Symbol, GlobalId)> = Vec::new();
        for (name, member) in &self.0 {
            let id = match member {
                Member::Closure(id) => *id,
                Member::Set(members) => {
                    let inner = members.number(sym, kinds, groups);
                    groups.push(inner);
                    kinds.push(GlobalKind::Group(groups.len() - 1));
                    GlobalId(kinds.len() as u32 - 1)
                }
            };
            all.push((sym(name), id));
        }
        all.sort_by_key(|member| member.0);
        all
    }
}

//! The value that recipes hold for an output of a derivation.

#![expect(
    unsafe_code,
    unused_qualifications,
    reason = "the derive `ProvidesStaticType` implements an unsafe trait, with whole paths"
)]

use std::fmt;
use std::sync::Arc;

use allocative::Allocative;
use starlark::collections::StarlarkHasher;
use starlark::starlark_simple_value;
use starlark::values::{
    Heap, NoSerialize, ProvidesStaticType, StarlarkPagablePanic, StarlarkValue, Value, ValueLike,
    starlark_value,
};

use super::variant::{Kind, Method};
use crate::model::{Derivation, Output};

/// The attributes that every package has beside its outputs; no output may have such a name.
pub(super) const ATTRIBUTES: &[&str] = &[
    "description",
    "extend",
    "homepage",
    "license",
    "name",
    "outputs",
    "override",
    "rewrite",
    "version",
];

/// A derivation as recipes see it.
///
/// In a text it is the path of its default output; each output is an attribute that is its path.
#[derive(ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
pub(super) struct PackageValue {
    #[allocative(skip)]
    derivation: Arc<Derivation>,
}

starlark_simple_value!(PackageValue);

impl PackageValue {
    pub(super) fn new(derivation: Arc<Derivation>) -> Self {
        Self { derivation }
    }

    pub(super) fn derivation(&self) -> &Arc<Derivation> {
        &self.derivation
    }
}

impl fmt::Debug for PackageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PackageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.derivation.default_output().placeholder().to_logical())
    }
}

#[starlark_value(type = "package")]
impl<'v> StarlarkValue<'v> for PackageValue {
    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        if let Some(output) = self.derivation.find_output(attribute) {
            return Some(heap.alloc(output.placeholder().to_logical()));
        }
        let metadata = self.derivation.metadata();
        let text = |text: &Option<String>| {
            text.as_ref()
                .map_or_else(Value::new_none, |text| heap.alloc(text.as_str()))
        };
        match attribute {
            "name" => Some(heap.alloc(metadata.name.as_str())),
            "version" => Some(text(&metadata.version)),
            "license" => Some(text(&metadata.license)),
            "description" => Some(text(&metadata.description)),
            "homepage" => Some(text(&metadata.homepage)),
            "outputs" => {
                let names: Vec<&str> = self.derivation.outputs().iter().map(Output::name).collect();
                Some(heap.alloc(names))
            }
            method => {
                let kind = Kind::of(method)?;
                Some(heap.alloc(Method::new(Arc::clone(&self.derivation), kind)))
            }
        }
    }

    fn dir_attr(&self) -> Vec<String> {
        let outputs = self.derivation.outputs().iter().map(Output::name);
        let mut names: Vec<String> = ATTRIBUTES
            .iter()
            .copied()
            .chain(outputs)
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other
            .downcast_ref::<Self>()
            .is_some_and(|other| other.derivation == self.derivation))
    }

    fn write_hash(&self, hasher: &mut StarlarkHasher) -> starlark::Result<()> {
        std::hash::Hash::hash(&self.derivation.id(), hasher);
        Ok(())
    }
}

//! `package`: another package, by name.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;

use crate::lang::context::FileContext;
use crate::lang::error::{LangError, Problem};
use crate::lang::label::Root;
use crate::lang::session::as_package;
use crate::lang::values::PackageValue;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The package of this name: one that this project's `pith.star` has defined above, else the collection's.
    fn package<'v>(
        name: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let context = FileContext::of(eval)?;
        let Some(name) = name.unpack_str() else {
            return Err(LangError::new(Problem::WrongType {
                function: "package".to_owned(),
                field: "name".to_owned(),
                expected: "a string",
                found: format!("a value of type `{}`", name.get_type()),
            })
            .into());
        };
        if let Root::Project(_) = context.file.root {
            let module = eval.module();
            let mut names: Vec<String> = module
                .names()
                .map(|name| name.as_str().to_owned())
                .collect();
            names.sort();
            let values = names
                .iter()
                .filter(|name| !name.starts_with('_'))
                .filter_map(|name| module.get(name));
            let own = values
                .filter_map(as_package)
                .find(|derivation| derivation.metadata().name == name);
            if let Some(own) = own {
                return Ok(PackageValue::new(own));
            }
        }
        Ok(PackageValue::new(context.session.package(name)?))
    }
}

//! `package`: another package, by name.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use crate::lang::context::FileContext;
use crate::lang::fields::Fields;
use crate::lang::label::Root;
use crate::lang::session::as_package;
use crate::lang::values::PackageValue;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The package of this name: one that this project's `pith.star` has defined above, else the collection's.
    fn package<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let fields = Fields::new("package", &["name"], 1, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let name = fields.required("name")?.string()?;
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

//! `platform`: what packages are built for; `native`: the same package for the machine that builds.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::structs::AllocStruct;
use starlark::values::tuple::UnpackTuple;

use crate::lang::context::FileContext;
use crate::lang::fields::Fields;
use crate::lang::values::PackageValue;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The platform that packages are for: `struct(system = "x86_64-linux", os = "linux", arch = "amd64", builder = "x86_64-linux")`,
    /// where `builder` is the system of the machine that builds.
    fn platform<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let session = FileContext::of(eval)?.session;
        let platform = session.platform.get();
        let fields = [
            ("system", platform.system()),
            ("os", platform.os()),
            ("arch", platform.arch()),
            ("builder", session.builder.system()),
        ];
        Ok(eval.heap().alloc(AllocStruct(fields)))
    }

    /// The package that the recipe of `package` makes for the machine that builds, to be run there.
    fn native<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let fields = Fields::new("native", &["package"], 1, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let output = fields.required("package")?.output(context)?;
        let derivation = context.session.native(output.derivation())?;
        Ok(PackageValue::new(derivation))
    }
}

//! Images of add-ons that are made of the distribution's packages, on the run image of the stack.

use bytes::Bytes;
use paas_core::ImageRef;
use paas_engine::Engine;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Making, Stack, StackSettings, dockerfile, has, hash, lock};
use crate::{StackError, archive::MemoryTar, output::Console};

/// How the image of an add-on is made.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRecipe<'a> {
    /// What runs in it: `postgresql`.
    pub kind: &'a str,
    /// Instructions of a Dockerfile, as root.
    pub instructions: &'a str,
    /// The folder that its volume is mounted at; it belongs to the user of dynos.
    pub data: &'a str,
}

impl Stack {
    /// Makes the image of a recipe unless it is there, and says which one it is. Another recipe is another image: what runs
    /// already keeps its own.
    pub async fn ensure_service(
        engine: &dyn Engine,
        settings: &StackSettings,
        recipe: ServiceRecipe<'_>,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<ImageRef, StackError> {
        let name = format!("addon-{}", recipe.kind);
        let text = recipe.to_dockerfile();
        let inputs = hash(text.as_bytes());
        let tag = ImageRef::new(format!("paas/{name}:{}", &inputs[..12]));
        if has(engine, &tag, &inputs).await? {
            return Ok(tag);
        }
        let stack = Self::ensure(engine, settings, output.clone(), cancel.clone()).await?;
        let mut context = MemoryTar::new();
        context.file(&dockerfile(&name), 0o644, text.as_bytes());
        let making = Making {
            engine,
            settings,
            console: Console::new(output),
            cancel,
            context: context.finish(),
            inputs,
            stack,
        };
        let lock = lock(&settings.work_dir, &making.console).await?;
        if !making.has(&tag).await? {
            making.build(&name, &tag, ("IMAGE", &making.stack.run)).await?;
        }
        drop(lock);
        Ok(tag)
    }
}

impl ServiceRecipe<'_> {
    fn to_dockerfile(self) -> String {
        let (instructions, data) = (self.instructions.trim(), self.data);
        format!(
            "ARG IMAGE\n\
             FROM ${{IMAGE}}\n\
             USER root\n\
             ENV DEBIAN_FRONTEND=noninteractive\n\
             {instructions}\n\
             ENV DEBIAN_FRONTEND=\n\
             RUN install -d -o dyno -g dyno -m 0700 {data}\n\
             USER dyno\n"
        )
    }
}

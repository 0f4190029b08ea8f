//! Methods of a host that is made of another one and passes questions on as they are.

/// `forward!(inner: now, system)` in an `impl Host`: these methods are those of `self.inner`.
macro_rules! forward {
    ($inner:ident: $($method:ident),+ $(,)?) => { $(forward!(@$method $inner);)+ };
    (@read_link $inner:ident) => {
        fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
            self.$inner.read_link(path, cx)
        }
    };
    (@environment $inner:ident) => {
        fn environment(&self, name: &str) -> Option<Vec<u8>> {
            self.$inner.environment(name)
        }
    };
    (@now $inner:ident) => {
        fn now(&self) -> Option<i64> {
            self.$inner.now()
        }
    };
    (@system $inner:ident) => {
        fn system(&self) -> Option<String> {
            self.$inner.system()
        }
    };
    (@trace $inner:ident) => {
        fn trace(&self, event: &TraceEvent<'_>) {
            self.$inner.trace(event);
        }
    };
    (@note_input $inner:ident) => {
        fn note_input(&self, input: Input) {
            self.$inner.note_input(input);
        }
    };
    (@store_dir $inner:ident) => {
        fn store_dir(&self) -> StoreDir {
            self.$inner.store_dir()
        }
    };
    (@add_to_store $inner:ident) => {
        fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
            self.$inner.add_to_store(object, cx)
        }
    };
    (@add_text_to_store $inner:ident) => {
        fn add_text_to_store(
            &self,
            name: &str,
            contents: &[u8],
            references: &BTreeSet<StorePath>,
            cx: &HostCx,
        ) -> Result<StorePath, HostError> {
            self.$inner.add_text_to_store(name, contents, references, cx)
        }
    };
    (@realise $inner:ident) => {
        fn realise(
            &self,
            wanted: &[DerivingPath],
            cx: &HostCx,
        ) -> Result<Vec<StorePath>, HostError> {
            self.$inner.realise(wanted, cx)
        }
    };
    (@references_of $inner:ident) => {
        fn references_of(
            &self,
            path: &NixPath,
            cx: &HostCx,
        ) -> Result<BTreeSet<StorePath>, HostError> {
            self.$inner.references_of(path, cx)
        }
    };
    (@read_derivation $inner:ident) => {
        fn read_derivation(
            &self,
            drv: &StorePath,
            cx: &HostCx,
        ) -> Result<Option<Arc<Derivation>>, HostError> {
            self.$inner.read_derivation(drv, cx)
        }
    };
    (@fetch $inner:ident) => {
        fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
            self.$inner.fetch(request, cx)
        }
    };
    (@would_add $inner:ident) => {
        fn would_add(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
            self.$inner.would_add(object, cx)
        }
    };
    (@is_valid $inner:ident) => {
        fn is_valid(&self, path: &StorePath) -> Result<bool, HostError> {
            self.$inner.is_valid(path)
        }
    };
    (@stamp $inner:ident) => {
        fn stamp(&self, path: &NixPath) -> Option<Stamp> {
            self.$inner.stamp(path)
        }
    };
    (@tree_stamp $inner:ident) => {
        fn tree_stamp(&self, path: &NixPath) -> Option<Stamp> {
            self.$inner.tree_stamp(path)
        }
    };
    (@still $inner:ident) => {
        fn still(&self, what: &str, state: &str) -> Option<String> {
            self.$inner.still(what, state)
        }
    };
    (@is_recorded $inner:ident) => {
        fn is_recorded(&self) -> bool {
            self.$inner.is_recorded()
        }
    };
    (@as_any $inner:ident) => {
        fn as_any(&self) -> Option<&dyn Any> {
            self.$inner.as_any()
        }
    };
}

pub(super) use forward;

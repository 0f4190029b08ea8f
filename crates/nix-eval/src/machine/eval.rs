//! Walking a program.
use super::{Machine, stack::Frame};
use crate::{error::Error, ir::NodeId, value::Value};
impl Machine {
    pub(crate) fn eval(&mut self, frame: Frame, id: NodeId) -> Result<Value, Error> {
        let _ = (frame, id);
        Err(crate::error::cancelled())
    }
    pub(crate) fn operand(&mut self, frame: Frame, id: NodeId) -> Value {
        let _ = (frame, id);
        Value::NULL
    }
}

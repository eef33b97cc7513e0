//! IDs as the `INT8` of PostgreSQL.

use std::error::Error;

use bytes::BytesMut;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Id;

impl ToSql for Id {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        i64::try_from(*self)?.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <i64 as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::try_from(i64::from_sql(ty, raw)?)?)
    }

    fn accepts(ty: &Type) -> bool {
        <i64 as FromSql>::accepts(ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_to_int8_and_back() {
        let id = Id::from_u64(1_541_815_603_606_036_480);
        let mut wire = BytesMut::new();
        id.to_sql(&Type::INT8, &mut wire).expect("it fits");
        assert_eq!(&wire[..], 1_541_815_603_606_036_480_i64.to_be_bytes());
        assert_eq!(Id::from_sql(&Type::INT8, &wire).expect("its own"), id);
        assert!(!<Id as ToSql>::accepts(&Type::INT4));
        assert!(Id::from_sql(&Type::INT8, &(-1_i64).to_be_bytes()).is_err());
        let large = Id::from_u64(1 << 63);
        assert!(large.to_sql(&Type::INT8, &mut wire).is_err());
    }
}

namespace NeoCommons.EfCore.Admin;

/// <summary>What stands behind a connection.</summary>
internal sealed record ConnectionFindings(
    string ServerVersion,
    string User,
    string Database,
    bool IsStandby,
    bool MayCreateSchemas,
    bool IsEncrypted
)
{
    public override string ToString() =>
        $"PostgreSQL {ServerVersion}, {User}@{Database}, {(IsEncrypted ? "encrypted" : "not encrypted")}"
        + (IsStandby ? ", a standby" : "")
        + (MayCreateSchemas ? "" : ", may not create schemas");
}

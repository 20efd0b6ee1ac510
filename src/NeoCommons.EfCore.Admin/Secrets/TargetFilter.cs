namespace NeoCommons.EfCore.Admin;

/// <summary>Rows that still name the target that a password was encrypted for.</summary>
internal static class TargetFilter
{
    public static IQueryable<DatabaseConnectionEntity> At(
        this IQueryable<DatabaseConnectionEntity> rows,
        SecretTarget target
    ) =>
        rows.Where(c =>
            c.Host == target.Host
            && c.Port == target.Port
            && c.DatabaseName == target.Database
            && c.Username == target.Username
        );
}

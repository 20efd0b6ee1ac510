namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant as commands show it.</summary>
internal sealed record TenantReport(
    Guid Id,
    string Slug,
    string Name,
    TenantStatus Status,
    string? Type,
    string Schema,
    string Connection,
    string? Region,
    string? SchemaVersion,
    DateTimeOffset? MigratingUntil
)
{
    public static TenantReport Of(Tenant tenant) =>
        new(
            tenant.Id.Value,
            tenant.Slug,
            tenant.Name,
            tenant.Status,
            tenant.TenantType,
            tenant.Schema.Value,
            tenant.ConnectionName,
            tenant.RegionId,
            tenant.SchemaVersion,
            tenant.MigratingUntil
        );

    /// <summary>Writes all of it, a line for each property.</summary>
    public void Write(CommandOutput output) =>
        output.Fields(
            ("Id", Id.ToString()),
            ("Slug", Slug),
            ("Name", Name),
            ("Status", Word(Status)),
            ("Type", Type),
            ("Schema", Schema),
            ("Connection", Connection),
            ("Region", Region),
            ("Version", SchemaVersion),
            ("Migrating until", MigratingUntil?.ToString("u"))
        );

    public static string Word<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();
}

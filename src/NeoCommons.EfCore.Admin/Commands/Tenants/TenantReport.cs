using System.Text.Json.Serialization;

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
    /// <summary>The limits of its own, or null; those in it that are null are the application's defaults.</summary>
    public TenantLimits? Limits { get; init; }

    /// <summary>How it came to be so; null in lists.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TenantPast? Past { get; init; }

    /// <summary>The tenant, with what registry and audit tell of it.</summary>
    public static async Task<TenantReport> ReadAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        Of(tenant) with
        {
            Past = await TenantPast.ReadAsync(run, tenant, ct).ConfigureAwait(false),
        };

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
        )
        {
            Limits = tenant.Limits == TenantLimits.None ? null : tenant.Limits,
        };

    /// <summary>Writes all of it, a line for each property.</summary>
    public void Write(CommandOutput output) =>
        output.Fields([
            ("Id", Id.ToString()),
            ("Slug", Slug),
            ("Name", Name),
            ("Status", Word(Status)),
            ("Type", Type),
            ("Schema", Schema),
            ("Connection", Connection),
            ("Region", Region),
            ("Version", SchemaVersion),
            ("Migrating until", MigratingUntil?.ToString("u")),
            ("Limits", Limits is null ? null : TenantLimitsText.Write("{}", Limits)),
            .. Past is null
                ? []
                : new (string, string?)[]
                {
                    ("Created", Past.CreatedAt.ToString("u")),
                    ("Last change", Past.LastChange?.ToString()),
                    ("Kept until", Past.RetainedUntil?.ToString("u")),
                    ("Migration failed", Past.MigrationError),
                },
        ]);

    public static string Word<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();
}

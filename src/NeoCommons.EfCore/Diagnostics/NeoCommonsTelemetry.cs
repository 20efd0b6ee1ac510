namespace NeoCommons.EfCore;

/// <summary>The names under which the library can be watched; it depends on no exporter.</summary>
/// <remarks>
/// <c>AddOpenTelemetry().WithMetrics(m =&gt; m.AddMeter(NeoCommonsTelemetry.Meters, "Npgsql"))
/// .WithTracing(t =&gt; t.AddSource(NeoCommonsTelemetry.ActivitySource, "Npgsql"))</c>. docs/metrics.md lists what they show.
/// </remarks>
public static class NeoCommonsTelemetry
{
    /// <summary>The meter of this package: <c>NeoCommons.EfCore</c>.</summary>
    public const string Meter = "NeoCommons.EfCore";

    /// <summary>All meters of the library, those of its other packages too, as a pattern for OpenTelemetry's <c>AddMeter</c>.</summary>
    public const string Meters = Meter + "*";

    /// <summary>The source of spans: <c>NeoCommons.EfCore</c>.</summary>
    public const string ActivitySource = "NeoCommons.EfCore";

    /// <summary>The tag of spans that holds the tenant's id. No metric has it: a tenant a series would be too many.</summary>
    public const string TenantTag = "neocommons.tenant.id";

    /// <summary>The tag of metrics and spans that holds the connection's name, as in Npgsql's own.</summary>
    public const string ConnectionTag = "db.client.connection.pool.name";
}

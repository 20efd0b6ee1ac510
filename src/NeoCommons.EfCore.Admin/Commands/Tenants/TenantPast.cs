using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>What registry and audit tell of how a tenant came to stand as it does.</summary>
internal sealed record TenantPast
{
    private static readonly string[] Changes =
    [
        TenantAudit.Begun,
        TenantAudit.Created,
        TenantAudit.Suspended,
        TenantAudit.Resumed,
        TenantAudit.Archived,
        TenantAudit.Restored,
        TenantAudit.Deleting,
    ];

    /// <summary>When its row was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>From when on it may be deleted.</summary>
    public DateTimeOffset? RetainedUntil { get; init; }

    /// <summary>The change that gave it its status: what, when, by whom and why.</summary>
    public TenantChange? LastChange { get; init; }

    /// <summary>Why it failed in the last run, where it has not been migrated since.</summary>
    public string? MigrationError { get; init; }

    public static Task<TenantPast> ReadAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        run.Get<AdminReads>().ReadAsync((db, token) => ReadAsync(db, tenant, token), ct);

    private static async Task<TenantPast> ReadAsync(AdminDbContext db, Tenant tenant, CancellationToken ct)
    {
        var id = tenant.Id.Value;
        var row = await db
            .Tenants.Where(t => t.Id == id)
            .Select(t => new { t.CreatedAt, t.RetainedUntil })
            .SingleOrDefaultAsync(ct)
            .ConfigureAwait(false);
        var change = await db
            .TenantEvents.Where(e => e.TenantId == id && Changes.Contains(e.Action))
            .OrderByDescending(e => e.Id)
            .FirstOrDefaultAsync(ct)
            .ConfigureAwait(false);
        var failure = await db
            .TenantMigrations.Where(m => m.TenantId == id)
            .Join(
                db.MigrationRuns,
                m => m.RunId,
                r => r.Id,
                (m, r) =>
                    new
                    {
                        m.State,
                        m.Error,
                        r.Target,
                        r.StartedAt,
                    }
            )
            .OrderByDescending(m => m.StartedAt)
            .FirstOrDefaultAsync(ct)
            .ConfigureAwait(false);
        return new TenantPast
        {
            CreatedAt = row?.CreatedAt ?? default,
            RetainedUntil = row?.RetainedUntil,
            LastChange =
                change is not null && Explains(change.Action, tenant.Status)
                    ? new TenantChange(change.Action, change.At, change.Actor, ReasonOf(change))
                    : null,
            MigrationError =
                failure is { State: TenantMigrationState.Failed }
                && string.CompareOrdinal(tenant.SchemaVersion, failure.Target) < 0
                    ? failure.Error
                    : null,
        };
    }

    // A status that was set by plain SQL has no change of its own.
    private static bool Explains(string change, TenantStatus status) =>
        status switch
        {
            TenantStatus.Provisioning => change is TenantAudit.Begun,
            TenantStatus.Active => change is TenantAudit.Created or TenantAudit.Resumed or TenantAudit.Restored,
            TenantStatus.Suspended => change is TenantAudit.Suspended or TenantAudit.Restored,
            _ => change is TenantAudit.Archived or TenantAudit.Deleting,
        };

    private static string? ReasonOf(TenantEventEntity change)
    {
        using var details = JsonDocument.Parse(change.Details);
        return details.RootElement.TryGetProperty("reason", out var reason) ? reason.GetString() : null;
    }

    /// <summary>A change that was made to a tenant.</summary>
    internal sealed record TenantChange(string Action, DateTimeOffset At, string Actor, string? Reason)
    {
        public override string ToString() => $"{Action} {At:u} by {Actor}{(Reason is null ? "" : $": {Reason}")}";
    }
}

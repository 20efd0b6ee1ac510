using System.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>One caller's way to an open connection: its time, its outcome, and a span where it was more than a moment.</summary>
internal readonly struct Acquisition(PooledDataSource source, TenantId? tenant, TimeProvider time)
{
    private const string Canceled = "canceled";
    public const string OverQuota = "TenantQuota";

    // A pool hands out what it holds in microseconds: whoever took longer has waited, and a trace should say for what.
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private static readonly ActivitySource Spans = new(NeoCommonsTelemetry.ActivitySource);

    private readonly long _started = time.GetTimestamp();

    /// <summary>Waits for the end of an open that has begun, and notes it.</summary>
    public async ValueTask<PhysicalConnection> EndAsync(ValueTask<PhysicalConnection> opening)
    {
        PhysicalConnection physical;
        try
        {
            physical = await opening.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            try
            {
                Failed(e);
            }
            catch (Exception)
            {
                // One measurement less: the caller is told why he has no connection.
            }

            throw;
        }

        physical.Tenant = tenant;
        try
        {
            Succeeded(physical.IsFirstLease);
        }
        catch (Exception)
        {
            // One measurement less: the connection is open, and whoever asked for it must have it.
        }

        return physical;
    }

    private void Succeeded(bool created)
    {
        var took = time.GetElapsedTime(_started);
        source.Figures?.Acquired(took, created);
        if (Spans.HasListeners() && (created || took >= Moment))
        {
            Trace(took, created, null);
        }
    }

    private void Failed(Exception e)
    {
        var (reason, counts) = e switch
        {
            ConnectionUnavailableException { Reason: ConnectionUnavailableReason.Replaced } => (
                nameof(ConnectionUnavailableReason.Replaced),
                false
            ),
            ConnectionUnavailableException unavailable => (unavailable.Reason.ToString(), true),
            TenantQuotaExceededException => (OverQuota, false),
            OperationCanceledException => (Canceled, false),
            _ => ("other", true),
        };
        source.Figures?.NotAcquired(reason, counts);
        if (Spans.HasListeners())
        {
            Trace(time.GetElapsedTime(_started), false, reason);
        }
    }

    // Begun afterwards, with the time of its beginning: at that time nobody can tell whether it will be worth a span.
    private void Trace(TimeSpan took, bool created, string? error)
    {
        var now = time.GetUtcNow();
        using var span = Spans.CreateActivity("acquire connection", ActivityKind.Internal);
        if (span is null)
        {
            return;
        }

        span.SetStartTime((now - took).UtcDateTime);
        span.Start();
        span.SetTag(NeoCommonsTelemetry.ConnectionTag, source.Row.Name);
        span.SetTag("neocommons.connection.created", created);
        if (tenant is { } id)
        {
            span.SetTag(NeoCommonsTelemetry.TenantTag, id.ToString());
        }

        if (error is not null)
        {
            span.SetTag("error.type", error);
            span.SetStatus(ActivityStatusCode.Error);
        }

        span.SetEndTime(now.UtcDateTime);
    }
}

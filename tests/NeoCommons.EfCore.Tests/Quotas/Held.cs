using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>What is taken of the gates in an application at this moment.</summary>
internal static class Held
{
    /// <summary>Permits of the row's pool.</summary>
    public static Task<int> OfPoolAsync(RuntimeApp app, DatabaseConnection row) =>
        LookAsync(app, row, source => source.Gate.Taken);

    /// <summary>Permits of the tenant, and callers that wait for one.</summary>
    public static Task<(int Taken, int Waiting)> OfTenantAsync(RuntimeApp app, Tenant tenant, DatabaseConnection row) =>
        LookAsync(
            app,
            row,
            source =>
            {
                var limiter = source.Tenants.Enter(tenant, row);
                limiter.Leave();
                return (limiter.Connections.Taken, limiter.Connections.Waiting);
            }
        );

    public static async Task<T> LookAsync<T>(RuntimeApp app, DatabaseConnection row, Func<PooledDataSource, T> look)
    {
        var source = await app
            .Services.GetRequiredService<TenantDataSources>()
            .AcquireAsync(row.Name, TestContext.Current.CancellationToken);
        try
        {
            return look(source);
        }
        finally
        {
            source.Release();
        }
    }
}

using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>As blogs do it: a SET when EF has opened the connection.</summary>
internal sealed class SetSearchPath : DbConnectionInterceptor
{
    public override async Task ConnectionOpenedAsync(
        DbConnection connection,
        ConnectionEndEventData eventData,
        CancellationToken cancellationToken = default
    )
    {
        await using var command = connection.CreateCommand();
        command.CommandText = $"SET search_path TO \"{((ShopContext)eventData.Context!).Schema}\"";
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

/// <summary>As EF's documentation does it: the schema is part of the key.</summary>
internal sealed class KeyPerSchema : IModelCacheKeyFactory
{
    public object Create(DbContext context, bool designTime) =>
        (context.GetType(), ((ShopContext)context).Schema, designTime);
}
